"""`python -m trt_nemotron` is the same program as `trt-nemotron`."""

from trt_nemotron.cli.main import main

if __name__ == "__main__":
    main()
