# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: faults.py QCONV MAKE_MODEL

Breaks runs on purpose: a full disk, a cut input, signals. No run may leave half a file with the final name, a damaged
older file, or a temporary file. SIGSTOP stops runs in the middle, so that no test depends on speed.
"""
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from families import without_families

QCONV, MAKE_MODEL = sys.argv[1:3]
TARGET = "nvfp4-comfy"
OLD = b"an older file"


class Skip(Exception):
    """Raised with the reason if a test cannot run here."""


class Place:
    """A scratch folder with a model of 48 MiB and the paths that tests use."""

    def __init__(self, folder, model):
        self.folder = folder
        self.model = os.path.join(folder, "in.safetensors")
        os.link(model, self.model)
        self.out = os.path.join(folder, "out.safetensors")

    def own_model(self):
        """Makes a model of its own, for tests that damage it."""
        os.unlink(self.model)
        make_model(self.model)

    def put_old(self):
        with open(self.out, "wb") as file:
            file.write(OLD)

    def temporaries(self, folder=None):
        return [n for n in os.listdir(folder or self.folder) if n.startswith(".") or "part" in n]

    def expect_nothing_new(self):
        left = sorted(set(os.listdir(self.folder)) - {"in.safetensors"})
        assert not left, f"left behind: {left}"

    def expect_only_old(self):
        with open(self.out, "rb") as file:
            assert file.read() == OLD, "the older file was changed"
        left = sorted(set(os.listdir(self.folder)) - {"in.safetensors", "out.safetensors"})
        assert not left, f"left behind: {left}"


def make_model(path):
    subprocess.run([MAKE_MODEL, "--layers", "12", "--rows", "1024", "--cols", "2048", path], check=True)


def command(place, *options, out=None):
    return [QCONV, "--to", TARGET, "--progress", "none", "-j1", *options, place.model, out or place.out]


def finish(process):
    said = process.communicate(timeout=300)[1].decode()
    return process.returncode, said


def run(place, *options, out=None, before=None):
    return finish(start(place, *options, out=out, before=before))


def start(place, *options, out=None, before=None):
    def prepare():
        # Python and shells hand ignored signals on
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if before is not None:
            before()
    return subprocess.Popen(command(place, *options, out=out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            preexec_fn=prepare, restore_signals=False)


def start_and_stop(place, *options):
    """Starts a run and stops it after it has made its temporary file."""
    process = start(place, *options)
    while not place.temporaries():
        assert process.poll() is None, f"the run ended before it made its temporary file: {finish(process)}"
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert place.temporaries(), "the run ended before it could be stopped"
    return process


def expect(status, got, words=""):
    code, said = got
    assert code == status, f"exit status {code} instead of {status}: {said}"
    assert said.startswith("qconv: ") or "\nqconv: " in said or status in (0, 130, -9), f"standard error has no line of qconv: {said}"
    assert words in said, f"standard error lacks {words!r}: {said}"


def mounted(place, options):
    folder = os.path.join(place.folder, "mounted")
    os.mkdir(folder)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True,
                          check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        os.rmdir(folder)
        raise Skip("a tmpfs cannot be mounted here" + (f": {done.stderr.strip()}" if done else ""))
    return folder


def unmount(folder):
    subprocess.run(["umount", folder], check=True)
    os.rmdir(folder)


def full_disk(place):
    folder = mounted(place, "size=4m")
    try:
        expect(1, run(place, out=os.path.join(folder, "out.safetensors")))
        assert not os.listdir(folder), os.listdir(folder)
    finally:
        unmount(folder)
    place.expect_nothing_new()


def read_only_folder(place):
    try:
        folder = mounted(place, "ro")
    except Skip:
        if os.getuid() == 0:
            raise
        folder = os.path.join(place.folder, "mounted")
        os.mkdir(folder, 0o555)
    try:
        expect(1, run(place, out=os.path.join(folder, "out.safetensors")))
    finally:
        (unmount if os.path.ismount(folder) else os.rmdir)(folder)
    place.expect_nothing_new()


def limit_file_size():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def file_size_limit(place):
    expect(1, run(place, before=limit_file_size))
    place.expect_nothing_new()
    place.put_old()
    expect(1, run(place, "--force", before=limit_file_size))
    place.expect_only_old()


def truncated_input(place):
    place.own_model()
    with open(place.model, "r+b") as file:
        file.truncate(os.path.getsize(place.model) - 1000)
    expect(3, run(place))
    place.expect_nothing_new()


def truncated_while_running(place):
    place.own_model()
    process = start_and_stop(place)
    with open(place.model, "r+b") as file:
        file.truncate(4096)
    process.send_signal(signal.SIGCONT)
    expect(1, finish(process))
    place.expect_nothing_new()


def interrupted(number):
    def test(place):
        place.put_old()
        process = start_and_stop(place, "--force")
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        expect(130, finish(process))
        place.expect_only_old()
    return test


def killed(place):
    place.put_old()
    process = start_and_stop(place, "--force")
    process.kill()
    expect(-9, finish(process))
    assert place.temporaries()
    with open(place.out, "rb") as file:
        assert file.read() == OLD
    expect(0, run(place, "--force"))
    assert not place.temporaries(), "the next run left the temporary file of the killed run"
    expect(0, finish(subprocess.Popen([QCONV, "verify", place.out], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE)))


def two_at_once(place):
    process = start_and_stop(place, "--force")
    expect(0, run(place, "--force"))
    with open(place.out, "rb") as file:
        second = file.read()
    process.send_signal(signal.SIGCONT)
    expect(0, finish(process))
    with open(place.out, "rb") as file:
        assert file.read() == second, "two runs with one output wrote different bytes"
    assert not place.temporaries()


def existing_output(place):
    place.put_old()
    expect(2, run(place))
    place.expect_only_old()


def appeared_while_running(place):
    process = start_and_stop(place)
    place.put_old()
    process.send_signal(signal.SIGCONT)
    expect(2, finish(process))
    place.expect_only_old()


def input_as_output(place):
    place.own_model()
    size = os.path.getsize(place.model)
    for name in ("in.safetensors", "./in.safetensors"):
        expect(2, run(place, "--force", out=os.path.join(place.folder, name)))
    link = os.path.join(place.folder, "link.safetensors")
    os.link(place.model, link)
    expect(2, run(place, "--force", out=link))
    os.unlink(link)
    assert os.path.getsize(place.model) == size
    place.expect_nothing_new()


def through_links(place):
    """An output that is a link must stay one: its file is replaced; a link to a device or to nothing is refused."""
    link = os.path.join(place.folder, "link.safetensors")
    place.put_old()
    os.symlink("out.safetensors", link)
    expect(2, run(place, out=link))
    expect(0, run(place, "--force", out=link))
    assert os.path.islink(link) and os.path.getsize(place.out) > len(OLD)
    os.unlink(place.out)
    for target in ("/dev/null", "nothing"):
        os.unlink(link)
        os.symlink(target, link)
        expect(2, run(place, "--force", out=link))
        assert os.readlink(link) == target
    os.unlink(link)
    expect(2, run(place, out="-"))
    place.expect_nothing_new()


def missing(place):
    expect(1, run(place, out=os.path.join(place.folder, "nowhere", "out.safetensors")))
    os.unlink(place.model)
    expect(1, run(place))
    assert not os.listdir(place.folder)


# ---- A set of files ----

SPLIT = ("--split", "5M")
SET = [f"out-{i:05}-of-00003.safetensors" for i in (1, 2, 3)] + ["out.safetensors.index.json"]


def put_old_set(place, *names):
    for name in names:
        with open(os.path.join(place.folder, name), "wb") as file:
            file.write(OLD)


def expect_set(place, *old):
    """The folder holds nothing but the input and the files @old, as put_old_set() made them."""
    left = sorted(set(os.listdir(place.folder)) - {"in.safetensors"})
    assert left == sorted(old), f"files: {left}"
    for name in old:
        with open(os.path.join(place.folder, name), "rb") as file:
            assert file.read() == OLD, f"{name} was changed"


def set_interrupted(place):
    put_old_set(place, *SET)
    process = start_and_stop(place, "--force", *SPLIT)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    expect(130, finish(process))
    expect_set(place, *SET)


def set_killed(place):
    put_old_set(place, *SET)
    process = start_and_stop(place, "--force", *SPLIT)
    process.kill()
    expect(-9, finish(process))
    assert place.temporaries()
    expect(0, run(place, "--force", *SPLIT))
    left = sorted(set(os.listdir(place.folder)) - {"in.safetensors"})
    assert left == sorted(SET), f"files: {left}"
    expect(0, finish(subprocess.Popen([QCONV, "verify", os.path.join(place.folder, SET[3])], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE)))


def set_appeared(place):
    process = start_and_stop(place, *SPLIT)
    put_old_set(place, SET[2])
    process.send_signal(signal.SIGCONT)
    expect(2, finish(process), "appeared meanwhile")
    expect_set(place, SET[2])


def set_limits(place):
    """Each file is below the limit of the disk, but not all together."""
    expect(1, run(place, *SPLIT, before=limit_file_size))
    place.expect_nothing_new()
    folder = mounted(place, "size=12m")
    try:
        expect(1, run(place, *SPLIT, out=os.path.join(folder, "out.safetensors")), "the disk has")
        assert not os.listdir(folder), os.listdir(folder)
    finally:
        unmount(folder)


TESTS = {
    "a full disk": full_disk,
    "a limit on the size of files": file_size_limit,
    "a read-only folder": read_only_folder,
    "an input that is cut short": truncated_input,
    "an input that is cut short while it is read": truncated_while_running,
    "SIGINT": interrupted(signal.SIGINT),
    "SIGTERM": interrupted(signal.SIGTERM),
    "SIGKILL, and the next run": killed,
    "two runs with one output": two_at_once,
    "an existing output": existing_output,
    "an output that appears meanwhile": appeared_while_running,
    "input as output": input_as_output,
    "an output that is a link": through_links,
    "a missing input, a missing folder": missing,
    "a set: SIGINT": set_interrupted,
    "a set: SIGKILL, and the next run": set_killed,
    "a set: a part that appears meanwhile": set_appeared,
    "a set: a limit on files, a full disk": set_limits,
}


def main():
    failed = 0
    root = tempfile.mkdtemp(prefix="qconv-faults-")
    print(f"1..{len(TESTS)}")
    try:
        without_families(os.path.join(root, "data"))
        model = os.path.join(root, "model.safetensors")
        make_model(model)
        for number, (name, test) in enumerate(TESTS.items(), 1):
            folder = os.path.join(root, str(number))
            os.mkdir(folder)
            try:
                test(Place(folder, model))
                print(f"ok {number} - {name}")
            except Skip as reason:
                print(f"ok {number} - {name} # SKIP {reason}")
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"not ok {number} - {name}")
                for line in traceback.format_exc().splitlines():
                    print("# " + line)
    finally:
        shutil.rmtree(root)
    sys.exit(1 if failed else 0)


main()
