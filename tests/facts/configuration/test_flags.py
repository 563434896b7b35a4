from trt_nemotron.facts.configuration.flags import read_flags


def nothing(_: str) -> tuple[str, ...]:
    return ()


def test_values_come_typed_under_every_spelling(release):
    text = "trtllm-serve serve MODEL --tp_size 2 --kv_cache_dtype=fp8 --no-telemetry"
    given, findings = read_flags(text, release("1.3.0rc18"), nothing)
    assert {it.flag.name: it.value for it in given} == {
        "--tensor_parallel_size": 2,
        "--kv_cache_dtype": "fp8",
        "--telemetry": False,
    }
    assert not findings


def test_switch_takes_no_value(release):
    given, findings = read_flags(
        "MODEL --trust_remote_code --port 8000", release("1.3.0rc6"), nothing
    )
    assert [it.value for it in given] == [True, 8000]
    assert not findings


def test_flag_without_its_value_is_told(release):
    _, findings = read_flags("MODEL --port --host 127.0.0.1", release("1.3.0rc6"), nothing)
    assert [(it.place, it.rule) for it in findings] == [("--port", "wrong-type")]


def test_flag_that_may_repeat_may(release):
    text = "MODEL --custom_module_dirs a --custom_module_dirs b"
    assert not read_flags(text, release("1.3.0rc6"), nothing)[1]


def test_key_of_the_file_given_as_a_flag_is_sent_there(release):
    _, findings = read_flags("MODEL --enable_block_reuse", release("1.3.0rc6"), nothing)
    assert findings[0].fix == "Write kv_cache_config.enable_block_reuse into the file."


def test_likely_and_deprecated_flags_are_told_as_such(release):
    _, findings = read_flags(
        "MODEL --report_addr x --backend pytorch", release("1.4.0rc1"), nothing
    )
    assert [(it.place, it.rule, it.severity) for it in findings] == [
        ("--report_addr", "not-confirmed", "warning"),
        ("--backend", "deprecated", "warning"),
    ]
