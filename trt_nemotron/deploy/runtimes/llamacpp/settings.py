"""What the server is told, whichever way it is started: one value, from the plan and the bundle."""

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.document import Value

SettingValue = int | bool | str


class ServerSettings(Value, frozen=True, kw_only=True):
    """Every setting of a server that we choose; the rest is as its release has it.

    Attributes:
        alias: the name under which the model answers.
        port: 0 lets the server choose.
        choices: the plan's choices, by their names there.
    """

    model: str
    alias: str
    port: int
    choices: dict[str, SettingValue]


def settings_of(plan: Plan, model: str, port: int) -> ServerSettings:
    """The settings of a server for `plan` that loads the file `model`."""
    return ServerSettings(
        model=model,
        alias=plan.served_model_name,
        port=port,
        choices={
            choice.name: choice.value
            for choice in plan.choices
            if isinstance(choice.value, int | str)
        },
    )


def for_load_check(settings: ServerSettings) -> ServerSettings:
    """The same server with room for one short request, to see whether a file loads."""
    small: dict[str, SettingValue] = {
        "n_ctx": 256,
        "n_parallel": 1,
        "n_batch": 256,
        "n_ubatch": 256,
    }
    return ServerSettings(
        model=settings.model,
        alias=settings.alias,
        port=0,
        choices={**settings.choices, **small},
    )
