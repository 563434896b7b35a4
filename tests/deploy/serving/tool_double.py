"""The real command line in a process of its own, with the runtime double in place of a runtime.

What the server double is to do stands in the environment variable SERVER_DOUBLE as JSON:
[marker, option, ...].
"""

import json
import os
import sys

from runtime_double import RuntimeDouble

from trt_nemotron.cli.main import main
from trt_nemotron.deploy.runtimes import catalogue

if __name__ == "__main__":
    double = RuntimeDouble(*json.loads(os.environ["SERVER_DOUBLE"]))
    catalogue.get_runtime = lambda _: double
    main(sys.argv[1:])
