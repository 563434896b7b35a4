"""Checks of the server apart from any answer: is it well, does it know its model."""

from trt_nemotron.measure.smoke.interview import Interview, Passed, Wrong


def check_health(interview: Interview) -> Passed:
    """`GET /health` answers 200, with anything but a web page."""
    reply = interview.client.health()
    if "text/html" in reply.content_type:
        raise Wrong("a web page stands at /health", body=reply.text[:200])
    return Passed("status 200", {"body": reply.text[:200]})


def check_model_list(interview: Interview) -> Passed:
    """`GET /v1/models` lists the model that is asked for; any, where none is named."""
    names = [entry.id for entry in interview.client.models()]
    wanted = interview.client.model
    if not names:
        raise Wrong("the list of models is empty", listed=names)
    if wanted and wanted not in names:
        raise Wrong(f"the list of models lacks {wanted!r}", listed=names)
    return Passed(f"lists {wanted or names[0]}", {"listed": names})
