"""A double of the compiler's Python module, for what the real one cannot be made to do.

It is written to a folder under the name `tensorrt_rtx`, put first on the path of the compiling
process. Everything is demanded as the real 1.7.1 demands it: the strongly typed flag, a graph that
is there, a capability that exists, a shape for every input that varies. What it does at the end is
said by the variable `DOUBLE`.
"""

SOURCE = """
import enum
import os
import signal
import sys

__version__ = "1.7.1.double"


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = Severity.INTERNAL_ERROR, Severity.ERROR, Severity.WARNING
    INFO, VERBOSE = Severity.INFO, Severity.VERBOSE


class IStreamWriter:
    def __init__(self):
        self.is_ready = True


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class ComputeCapability(enum.Enum):
    SM80, SM86, SM89, SM120, SM121 = range(5)


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class BuilderFlag(enum.Enum):
    TF32 = 0


class LayerType(enum.Enum):
    MATRIX_MULTIPLY = 0


class Layer:
    type = LayerType.MATRIX_MULTIPLY


class Tensor:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape


class Network:
    num_layers = 0
    num_inputs = 2

    def get_layer(self, place):
        return Layer()

    def get_input(self, place):
        return (Tensor("input_ids", (1, -1)), Tensor("position", (1,)))[place]


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self.network = network

    def parse_from_file(self, path):
        assert os.path.isfile(path)
        if os.environ["DOUBLE"] == "refuses":
            self.num_errors = 1
            return False
        self.network.num_layers = 7
        return True

    def get_error(self, place):
        return "In node 3 (importFallbackPluginImporter): UNSUPPORTED_NODE"


class Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, best, most):
        assert len(least) == len(best) == len(most)
        assert all(a <= b <= c for a, b, c in zip(least, best, most))
        self.shapes[name] = (least, best, most)


class Config:
    num_compute_capabilities = 0
    capabilities = ()
    profiles = ()
    is_tf32 = True

    def set_compute_capability(self, capability, place):
        assert place < self.num_compute_capabilities
        self.capabilities = (capability,)

    def set_memory_pool_limit(self, pool, size):
        assert pool is MemoryPoolType.WORKSPACE and size > 0

    def clear_flag(self, flag):
        assert flag is BuilderFlag.TF32
        self.is_tf32 = False

    def add_optimization_profile(self, profile):
        if set(profile.shapes) != {"input_ids"}:
            return -1
        self.profiles += (profile,)
        return len(self.profiles) - 1


class Builder:
    def __init__(self, logger):
        self.logger = logger

    def create_network(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return Network()

    def create_builder_config(self):
        return Config()

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network_to_stream(self, network, config, writer):
        assert writer.is_ready and config.profiles and network.num_layers
        assert not config.is_tf32
        assert len(config.capabilities) == config.num_compute_capabilities == 1
        behaviour = os.environ["DOUBLE"]
        self.logger.log(Severity.INFO, "Engine generation completed in 0.1 seconds.")
        if behaviour == "crashes":
            sys.stderr.write("terminate called without an active exception\\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGABRT)
        if behaviour == "hangs":
            signal.pause()
        if behaviour == "says no":
            self.logger.log(Severity.ERROR, "Error Code 9: no tactic for layer 3")
            return False
        if behaviour == "says yes and writes nothing":
            return True
        size = 3_000_000 if behaviour != "writes too little" else 1000
        header = b"vtrt" + bytes(4) + (2).to_bytes(8, "little") + size.to_bytes(8, "little")
        body = header + bytes(size - len(header))
        writer.write(body if behaviour != "writes half" else body[: size // 2])
        return True


if os.environ["DOUBLE"] == "cannot stream":
    del Builder.build_serialized_network_to_stream
    Builder.build_serialized_network = lambda self, network, config: bytes(4_000_000)
"""
