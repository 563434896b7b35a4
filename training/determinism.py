"""The same bytes from the same seed: one thread, one instruction set, no choice of algorithm.

Floating point sums depend on their order, and libraries choose the order by the number of
threads and by the processor's vector width. So both are fixed, and fixed before torch loads.
`MKL_CBWR=COMPATIBLE` is the only mode of MKL that promises the same results on processors of
different makers; it costs half of the matrix speed.
https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2024-2/obtaining-numerically-reproducible-results.html
"""

import os
import sys

ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "PYTHONHASHSEED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Read by the libraries when they load, so later changes have no effect."""


def restart_with_pinned_environment() -> None:
    """Replace this process by itself under `ENVIRONMENT`, unless it runs so already."""
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.environ.update(ENVIRONMENT)
        sys.stdout.flush()
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very program


def use_deterministic_torch() -> None:
    """Have torch run on one thread and refuse operations without a fixed result."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
