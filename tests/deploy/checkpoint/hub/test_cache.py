"""The cache: the same folders as the hub's own library, without importing it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.checkpoint.hub.hub_double import COMMIT
from trt_nemotron.deploy.checkpoint.hub.cache import (
    RepositoryCache,
    hub_cache,
    is_offline,
    lock_beside,
)
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.deploy.checkpoint.hub.source_lock import LOCK_NAME

ENVIRONMENTS = (
    {},
    {"HF_HOME": "/a/home"},
    {"XDG_CACHE_HOME": "/a/xdg"},
    {"HF_HOME": "~/mine", "XDG_CACHE_HOME": "/a/xdg"},
    {"HF_HUB_CACHE": "$HOME/there", "HF_HOME": "/a/home"},
    {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/a/home"},
    {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "/new"},
    {"HF_HUB_OFFLINE": "1"},
    {"HF_HUB_OFFLINE": "no"},
    {"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "yes"},
)


@pytest.mark.parametrize("variables", ENVIRONMENTS, ids=str)
def test_the_library_reads_the_same_variables_alike(variables: dict[str, str]):
    program = "from huggingface_hub import constants as c; print(c.HF_HUB_CACHE, c.HF_HUB_OFFLINE)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [str(hub_cache(variables)), str(is_offline(variables))]


def test_the_library_finds_what_lies_where_we_say(tmp_path: Path):
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    cache = RepositoryCache(tmp_path, HubReference("owner/name", COMMIT))
    cache.snapshot.mkdir(parents=True)
    cache.blob("a" * 40).parent.mkdir()
    cache.blob("a" * 40).write_text("{}")
    (cache.snapshot / "config.json").symlink_to(f"../../blobs/{'a' * 40}")
    cache.lock_path.parent.mkdir(parents=True)
    cache.lock_path.write_text("{}")
    found = try_to_load_from_cache("owner/name", "config.json", cache_dir=tmp_path, revision=COMMIT)
    assert found == str(cache.snapshot / "config.json")
    assert cache.cached_id("config.json") == "a" * 40
    assert cache.cached_id("absent.json") == ""
    scan = scan_cache_dir(tmp_path)
    assert not scan.warnings
    assert lock_beside(cache.snapshot) == cache.lock_path


def test_a_lock_inside_the_folder_comes_first(tmp_path: Path):
    assert lock_beside(tmp_path) is None
    (tmp_path / LOCK_NAME).write_text("{}")
    assert lock_beside(tmp_path) == tmp_path / LOCK_NAME


@pytest.mark.parametrize("target", ["../../blobs/note.txt", f"../../blobs/{'a' * 39}", "/"])
def test_a_link_to_anything_but_content_names_none(tmp_path: Path, target: str):
    cache = RepositoryCache(tmp_path, HubReference("owner/name", COMMIT))
    cache.snapshot.mkdir(parents=True)
    (cache.snapshot / "config.json").symlink_to(target)
    assert cache.cached_id("config.json") == ""
