"""A systemd unit that keeps the container running.

A unit needs absolute paths and a bundle has none. So it names one place under /opt, which is a link
to wherever the bundle lies: nothing in the unit has to be filled in, and changing to another bundle
is changing the link. Keys: systemd.service(5), systemd.exec(5).
"""

from trt_nemotron.deploy.runtimes.protocol import LOOPBACK
from trt_nemotron.deploy.starters.recipe import PORT, Recipe
from trt_nemotron.deploy.starters.script import SCRIPT_NAME

_TEXT = """\
# Keeps {title} running.
# Written by trt-nemotron. To install it, in the bundle's folder:
#
#     sudo mkdir -p /opt/trt-nemotron
#     sudo ln -sfn "$PWD" /opt/trt-nemotron/{name}
#     sudo cp start/{name}.service /etc/systemd/system/
#     sudo systemctl daemon-reload
#     sudo systemctl enable --now {name}
#
# /etc/trt-nemotron/{name}.env may set what start/{script} reads: ENGINE, IMAGE,
# PORT ({loopback}:{port} without it), and secrets, named by SECRETS. Owner root, mode 0600:
#
#     SECRETS=HF_TOKEN
#     HF_TOKEN=...

[Unit]
Description={title}
After=network-online.target docker.service
Wants=network-online.target
StartLimitIntervalSec=1h
StartLimitBurst=5

[Service]
Type=exec
EnvironmentFile=-/etc/trt-nemotron/{name}.env
Environment=NAME={name}
# A container that a crash left would hold the name; it goes first, and last.
ExecStartPre=-/bin/sh /opt/trt-nemotron/{name}/start/{script} remove
ExecStart=/bin/sh /opt/trt-nemotron/{name}/start/{script}
ExecStopPost=-/bin/sh /opt/trt-nemotron/{name}/start/{script} remove
Restart=on-failure
RestartSec=10s
# Missing engine, image or bundle: trying again would not help.
RestartPreventExitStatus=3
TimeoutStopSec=30s
KillMode=mixed
# The server is confined by its container. This is the engine's client, which needs its socket and,
# as podman, namespaces and mounts: it gives up what it needs in neither case.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def unit_name(recipe: Recipe) -> str:
    """The unit's file."""
    return f"{recipe.name}.service"


def unit_text(recipe: Recipe) -> str:
    """The unit; `%` would be a specifier in it."""
    text = _TEXT.format(
        title=recipe.title,
        name=recipe.name,
        script=SCRIPT_NAME,
        loopback=LOOPBACK,
        port=PORT,
    )
    return text.replace("%", "%%")
