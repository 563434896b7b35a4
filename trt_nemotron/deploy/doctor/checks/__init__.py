"""The checks, one function each; `deploy.doctor.registry` names them."""
