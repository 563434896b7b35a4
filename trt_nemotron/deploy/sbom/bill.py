"""From a bundle to its bill of materials. Pure but for the version of an installed converter."""

import re
from collections.abc import Callable

from trt_nemotron.deploy.bundle.values import MODEL_FOLDER, BundleFile, Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.sbom.cyclonedx import (
    Bom,
    Component,
    Dependency,
    Hash,
    LicenceChoice,
    Metadata,
    ModelCard,
    ModelParameters,
    NamedLicence,
    Property,
    Reference,
    Tools,
    numbered,
)
from trt_nemotron.deploy.sbom.purl import (
    hub_purl,
    image_purl,
    package_purl,
    program_purl,
)
from trt_nemotron.deploy.serving.container.reference import split_image
from trt_nemotron.facts.catalogue import load_model, model_names
from trt_nemotron.facts.model import ModelFacts, ModelVariant
from trt_nemotron.facts.target import RuntimeName

SBOM_NAME = "sbom.cdx.json"

_PACKAGES: dict[RuntimeName, str] = {
    "trtllm": "tensorrt-llm",
    "edgellm": "tensorrt-edgellm",
    "llamacpp": "xllamacpp",
    "transformers": "transformers",
    "vllm": "vllm",
    "sglang": "sglang",
}
"""Under which name the Python Package Index has the runtime's releases."""

_CONVERTERS: dict[RuntimeName, str] = {"llamacpp": "gguf"}
_UNCONVERTED = "as-is"
_SPDX = re.compile(r"[A-Za-z0-9.+-]+")
_ARCHITECTURE = "nemotron_h"
_FAMILY = "hybrid of Mamba-2, MLP and attention layers"


def bill_of_materials(
    manifest: Manifest, plan: Plan, image: str, version_of: Callable[[str], str]
) -> Bom:
    """The bill of a bundle.

    Args:
        manifest: of all its files but this one; needs no seal.
        plan: that it was built from.
        image: the container image that serves it; empty for a runtime without one.
        version_of: version of an installed Python package; empty for one that is not there.
    """
    model = _model(manifest, plan)
    runtime = _runtime(manifest)
    container = _container(image) if image else None
    needed = [it for it in (container, runtime) if it is not None]
    return numbered(
        Bom(
            metadata=Metadata(
                tools=Tools(components=_tools(manifest, plan, version_of)),
                component=_bundle(manifest),
            ),
            components=(model, *needed),
            dependencies=_dependencies(model, container, runtime),
        )
    )


def _bundle(manifest: Manifest) -> Component:
    return Component(
        type="application",
        bom_ref="bundle",
        name=manifest.name,
        version=manifest.configuration_sha256,
        properties=(
            Property(name="trt-nemotron:target", value=manifest.target),
            Property(name="trt-nemotron:served-model-name", value=manifest.served_model_name),
            Property(name="trt-nemotron:source-sha256", value=manifest.source_sha256),
        ),
    )


def _model(manifest: Manifest, plan: Plan) -> Component:
    found = _known(plan.checkpoint.name)
    files = _model_files(manifest)
    kept = plan.checkpoint
    is_published = found is not None and bool(kept.revision) and found[1].format != "package"
    return Component(
        type="machine-learning-model",
        bom_ref="model",
        name=kept.name,
        version=kept.revision,
        hashes=_hashes(files[0]) if len(files) == 1 else (),
        licenses=_licences(found[0]) if found else (),
        purl=hub_purl(found[1].repository, kept.revision) if found and is_published else "",
        external_references=_references(found[1], kept.revision) if found and is_published else (),
        components=tuple(_file(file) for file in files),
        model_card=ModelCard(
            model_parameters=ModelParameters(
                task="text-generation",
                architecture_family=_FAMILY,
                model_architecture=_ARCHITECTURE,
            )
        ),
        properties=(
            Property(name="trt-nemotron:parameters", value=str(kept.parameters)),
            Property(name="trt-nemotron:source-quantization", value=kept.quantization),
            Property(name="trt-nemotron:precision", value=plan.precision),
        ),
    )


def _model_files(manifest: Manifest) -> tuple[BundleFile, ...]:
    """What the runtime loads: one file, or all in its folder."""
    prefix = f"{manifest.model_path}/"
    inside = tuple(it for it in manifest.files if it.path.startswith(prefix))
    return inside or tuple(it for it in manifest.files if it.path.startswith(f"{MODEL_FOLDER}/"))


def _file(file: BundleFile) -> Component:
    return Component(type="file", bom_ref=f"file:{file.path}", name=file.path, hashes=_hashes(file))


def _hashes(file: BundleFile) -> tuple[Hash, ...]:
    return (Hash(alg="SHA-256", content=file.sha256),)


def _known(name: str) -> tuple[ModelFacts, ModelVariant] | None:
    """Facts of the published checkpoint of that name."""
    for model in model_names():
        facts = load_model(model)
        for variant in facts.variants:
            if variant.name.casefold() == name.casefold():
                return facts, variant
    return None


def _licences(facts: ModelFacts) -> tuple[LicenceChoice, ...]:
    """As its makers declare it; ours has an SPDX identifier, a name of several words has none."""
    if _SPDX.fullmatch(facts.licence):
        licence = NamedLicence(id=facts.licence, acknowledgement="declared")
    else:
        licence = NamedLicence(name=facts.licence, acknowledgement="declared")
    return (LicenceChoice(license=licence),)


def _references(variant: ModelVariant, revision: str) -> tuple[Reference, ...]:
    url = f"https://huggingface.co/{variant.repository}/tree/{revision}"
    return (Reference(type="distribution", url=url),)


def _container(image: str) -> Component:
    name, tag, digest = split_image(image)
    return Component(
        type="container",
        bom_ref="image",
        name=name or image,
        version=digest or tag,
        description="" if digest else "named by its tag: which content it has was not pinned",
        hashes=(Hash(alg="SHA-256", content=digest.removeprefix("sha256:")),) if digest else (),
        purl=image_purl(image) if name else "",
    )


def _runtime(manifest: Manifest) -> Component:
    package = _PACKAGES[manifest.runtime]
    return Component(
        type="framework",
        bom_ref="runtime",
        name=package,
        version=manifest.release,
        purl=package_purl(package, manifest.release),
    )


def _tools(
    manifest: Manifest, plan: Plan, version_of: Callable[[str], str]
) -> tuple[Component, ...]:
    """What planned and built it, and what converted the weights."""
    name = "trt-nemotron"
    tools = [
        Component(
            type="application",
            name=name,
            version=manifest.tool_version,
            purl=program_purl(name, manifest.tool_version),
        )
    ]
    converter = _CONVERTERS.get(manifest.runtime, "")
    version = version_of(converter) if converter and plan.precision != _UNCONVERTED else ""
    if version:
        purl = package_purl(converter, version)
        tools.append(Component(type="framework", name=converter, version=version, purl=purl))
    return tuple(tools)


def _dependencies(
    model: Component, container: Component | None, runtime: Component
) -> tuple[Dependency, ...]:
    """The bundle needs its model and what serves it; an image brings the runtime along."""
    holder = container or runtime
    needs = [Dependency(ref="bundle", depends_on=(model.bom_ref, holder.bom_ref))]
    if container is not None:
        needs.append(Dependency(ref=container.bom_ref, depends_on=(runtime.bom_ref,)))
    return (*needs, Dependency(ref=model.bom_ref), Dependency(ref=runtime.bom_ref))
