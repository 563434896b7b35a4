"""The files with which a bundle is started without this tool."""

from trt_nemotron.deploy.bundle.values import START_FOLDER, Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Runtime
from trt_nemotron.deploy.starters.compose import COMPOSE_NAME, compose_text
from trt_nemotron.deploy.starters.here import HERE_NAME, here_text
from trt_nemotron.deploy.starters.recipe import recipe_of
from trt_nemotron.deploy.starters.script import SCRIPT_NAME, script_text
from trt_nemotron.deploy.starters.unit import unit_name, unit_text


def starter_files(runtime: Runtime, plan: Plan, manifest: Manifest) -> dict[str, str]:
    """Text by path in the bundle; nothing for a runtime that has no image."""
    recipe = recipe_of(runtime, plan, manifest)
    if recipe is None:
        return {}
    texts = {
        COMPOSE_NAME: compose_text(recipe),
        HERE_NAME: here_text(recipe),
        SCRIPT_NAME: script_text(recipe),
        unit_name(recipe): unit_text(recipe),
    }
    return {f"{START_FOLDER}/{name}": text for name, text in texts.items()}
