"""The part of CycloneDX 1.6 that a bundle's bill of materials uses, as typed values.

Source: https://cyclonedx.org/docs/1.6/json/. The library of its makers has the whole standard and
brings seven packages of its own; on a device none of them is needed. A test holds what is written
here against the schema that they publish.
"""

import hashlib
import uuid
from typing import ClassVar, Literal

import msgspec

from trt_nemotron.document import to_json

ComponentType = Literal["application", "container", "file", "framework", "machine-learning-model"]


class Part(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    omit_defaults=True,
):
    """A part of the document; what has nothing to say is left out."""


class Hash(Part, frozen=True, kw_only=True):
    """A hash in hexadecimal; `alg` is `SHA-256`."""

    alg: str
    content: str


class NamedLicence(Part, frozen=True, kw_only=True):
    """A licence by its SPDX identifier, or by its name where it has none."""

    id: str = ""
    name: str = ""
    acknowledgement: str = ""


class LicenceChoice(Part, frozen=True, kw_only=True):
    """What the standard wraps a licence into."""

    license: NamedLicence


class Property(Part, frozen=True, kw_only=True):
    """A statement that the standard has no field for."""

    name: str
    value: str


class Reference(Part, frozen=True, kw_only=True):
    """Where a component comes from."""

    type: Literal["distribution"]
    url: str


class ModelParameters(Part, frozen=True, kw_only=True):
    """What kind of network it is."""

    task: str = ""
    architecture_family: str = ""
    model_architecture: str = ""


class ModelCard(Part, frozen=True, kw_only=True):
    """What the standard wraps a network's kind into."""

    model_parameters: ModelParameters


class Component(Part, frozen=True, kw_only=True):
    """One thing that a bundle consists of or needs; `bom_ref` is its name in this document."""

    type: ComponentType
    bom_ref: str = msgspec.field(default="", name="bom-ref")
    name: str
    version: str = ""
    description: str = ""
    hashes: tuple[Hash, ...] = ()
    licenses: tuple[LicenceChoice, ...] = ()
    purl: str = ""
    external_references: tuple[Reference, ...] = ()
    components: tuple["Component", ...] = ()
    model_card: ModelCard | None = None
    properties: tuple[Property, ...] = ()


class Tools(Part, frozen=True, kw_only=True):
    """Programs that made it."""

    components: tuple[Component, ...]


class Metadata(Part, frozen=True, kw_only=True):
    """What the document is about, and what made it. No time: the same bundle, the same bytes."""

    tools: Tools
    component: Component


class Dependency(Part, frozen=True, kw_only=True):
    """What one component needs, by `bom_ref`."""

    ref: str
    depends_on: tuple[str, ...] = ()


class Bom(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A bill of materials."""

    SCHEMA_URL: ClassVar[str] = "http://cyclonedx.org/schema/bom-1.6.schema.json"

    schema: str = msgspec.field(default=SCHEMA_URL, name="$schema")
    bom_format: Literal["CycloneDX"] = "CycloneDX"
    spec_version: Literal["1.6"] = "1.6"
    serial_number: str = ""
    version: int = 1
    metadata: Metadata
    components: tuple[Component, ...]
    dependencies: tuple[Dependency, ...]


def numbered(bom: Bom) -> Bom:
    """The bill with its serial number, which follows from its content."""
    content = to_json(msgspec.structs.replace(bom, serial_number=""))
    number = uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=5)
    return msgspec.structs.replace(bom, serial_number=f"urn:uuid:{number}")
