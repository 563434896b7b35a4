"""One self-contained page: no script, no network, no font from elsewhere; light and dark.

Everything a server said is untrusted text. Jinja escapes it, and a content security policy that
allows nothing but this page's own style sheet, by its hash, would stop what escaping missed.
"""

import base64
import hashlib
from importlib import resources

import jinja2
from markupsafe import Markup


def render_page(template: str, **contents: object) -> str:
    """The template of that name with `contents`; the same contents give the same page."""
    css = _resource("report.css")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        css=Markup(css),  # noqa: S704 - our own file
        policy=_policy(css),
        **contents,
    )


def _resource(name: str) -> str:
    folder = resources.files("trt_nemotron.measure.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _policy(css: str) -> str:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
