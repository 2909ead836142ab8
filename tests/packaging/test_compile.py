"""The optional compiler of the pass over logs: whatever is wrong with it, an installation goes on without."""

import importlib.util

import pytest

from tests.conftest import ROOT


@pytest.fixture
def compile_to():
    spec = importlib.util.spec_from_file_location("compile_pass", ROOT / "scripts" / "compile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compile_to


@pytest.mark.parametrize("compiler", ["no-such-compiler", "'gcc", "false", "{there}/text"])
def test_a_compiler_that_is_none_is_told(compile_to, monkeypatch, tmp_path, compiler):
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    monkeypatch.setenv("CC", compiler.format(there=tmp_path))
    assert compile_to(tmp_path / "made.so")
    assert not (tmp_path / "made.so").exists()


def test_a_folder_that_is_none_is_told(compile_to, tmp_path):
    assert compile_to(tmp_path / "none" / "made.so")


def test_no_word_of_a_compiler_is_the_usual_one(compile_to, monkeypatch, tmp_path):
    usual = compile_to(tmp_path / "one.so")
    monkeypatch.setenv("CC", "")
    assert compile_to(tmp_path / "two.so") == usual
