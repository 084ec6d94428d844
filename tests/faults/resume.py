# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: resume.py QCONV MAKE_MODEL IO_SHIM

Kills and interrupts runs with --resume, and compares what the next run makes with the output of a run that nobody
stopped. io-shim.c kills or stops a run at its Nth write, so that no test depends on speed.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

from families import make_family_model, needs_family, without_families

QCONV, MAKE_MODEL, SHIM = sys.argv[1:4]
TARGETS = ("nvfp4-comfy", "int8-comfy", "fp8-legacy", "f16-safetensors", "copy-safetensors",
           "svdq-fp4-nunchaku", "svdq-int4-nunchaku")
MOMENTS = (0.1, 0.5, 0.8, 1)  # shares of the writes before a kill


class Place:
    """A scratch folder with a model, and what a run makes of it that nobody stops."""

    def __init__(self, folder, model, target="nvfp4-comfy"):
        self.folder = folder
        self.model = os.path.join(folder, "in.safetensors")
        os.link(model, self.model)
        self.target = target
        self.out = os.path.join(folder, "out.safetensors")
        self.kept = os.path.join(folder, ".out.safetensors.qconv-partial")
        self.journal = os.path.join(folder, ".out.safetensors.qconv-journal")
        log = os.path.join(folder, "log")
        self.report = self.expect(0, fault="kill,-1", log=log)
        self.whole = self.take_output()
        with open(log, encoding="ascii") as file:
            self.n_writes = int(file.read().split()[0])
        os.unlink(log)

    def start(self, *options, fault=None, log=None):
        environment = dict(os.environ)
        if fault is not None:
            environment |= {"LD_PRELOAD": SHIM, "QCONV_SHIM": fault}
        if log is not None:
            environment["QCONV_SHIM_LOG"] = log
        # Python and shells hand ignored signals on
        return subprocess.Popen([QCONV, "--to", self.target, "--json", "--progress", "none", *options, self.model, self.out],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), restore_signals=False)

    def expect(self, status, *options, words="", **rest):
        """Runs to the end. Returns the report."""
        return self.expect_end(status, self.start(*options, **rest), words)

    @staticmethod
    def expect_end(status, process, words=""):
        out, said = process.communicate(timeout=300)
        assert process.returncode == status, f"exit status {process.returncode} instead of {status}: {said}"
        assert words in said, f"standard error lacks {words!r}: {said}"
        return json.loads(out) if status == 0 else None

    def take_output(self):
        with open(self.out, "rb") as file:
            data = file.read()
        os.unlink(self.out)
        return data

    def left_by_kill(self):
        return os.path.basename(self.kept), os.path.basename(self.journal)

    def expect_files(self, *names):
        left = sorted(os.listdir(self.folder))
        assert left == sorted(("in.safetensors", *names)), f"files: {left}"

    def expect_resumed(self, *options, words=""):
        """Goes on. The bytes and the report must be those of the run that nobody stopped."""
        report = self.expect(0, "--resume", *options, words=words)
        assert self.take_output() == self.whole, "other bytes"
        for key in report.keys() - {"seconds", "warnings"}:
            assert report[key] == self.report[key], f"{key} differs: {report[key]}"
        self.expect_files()

    def kill(self, share, *options):
        self.expect(-signal.SIGKILL, "--resume", *options, fault=f"kill,{int(share * (self.n_writes - 1))}")
        self.expect_files(*self.left_by_kill())

    def stop(self, *options):
        """Returns a run that is stopped in the middle."""
        process = self.start(*options, fault=f"stop,{self.n_writes // 2}")
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT | os.WEXITED)
        assert process.poll() is None, "the run has ended"
        return process


class SetPlace(Place):
    """The same for an output of several files."""

    def start(self, *options, **rest):
        return super().start("--split", "1M", *options, **rest)

    def take_output(self):
        self.names = sorted(name for name in os.listdir(self.folder) if name.startswith("out"))
        assert len(self.names) > 3, self.names
        data = []
        for name in self.names:
            with open(os.path.join(self.folder, name), "rb") as file:
                data.append(file.read())
            os.unlink(os.path.join(self.folder, name))
        return data

    def left_by_kill(self):
        return *(f".{name}.qconv-partial" for name in self.names), f".{self.names[0]}.qconv-journal"


def killed(target, kind=Place):
    def test(folder, model):
        if needs_family(target):
            model = os.path.join(folder, "..", f"{target}.safetensors")
            make_family_model(MAKE_MODEL, model)
        place = kind(folder, model, target)
        for i, share in enumerate(MOMENTS):
            place.kill(share, f"-j{1 + i % 2}")
            place.expect_resumed(f"-j{2 - i % 2}", "--memory", ("4G", "256M")[i % 2], words=" layers are done")
        for share in MOMENTS:  # one after the other
            place.kill(min(share, 0.2))
        place.expect_resumed("-j1")
    return test


def other_runs(folder, model):
    """Runs with other options, or of a model that has changed, do not take the work of the killed one."""
    place = Place(folder, model)
    place.kill(0.5, "--keep", r"layers\.0")
    place.expect_resumed(words="anew: the options or the output differ")
    place.kill(0.5)
    os.unlink(place.model)
    shutil.copyfile(model, place.model)
    place.expect_resumed(words="anew: an input has changed")
    place.kill(0.5)
    place.expect(0, "--no-checksums", "--force")  # without --resume: leaves the files alone
    place.expect_files("out.safetensors", os.path.basename(place.kept), os.path.basename(place.journal))
    os.unlink(place.out)
    place.expect_resumed()


def interrupted(folder, model, kind=Place):
    place = kind(folder, model)
    for options in ((), ("--resume",)):
        process = place.stop(*options)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        place.expect_end(130, process, "--resume goes on with it" if options else "")
        if not options:
            place.expect_files()
    place.expect_files(*place.left_by_kill())
    place.expect_resumed()


def interrupted_set(folder, model):
    interrupted(folder, model, SetPlace)


def two_at_once(folder, model):
    place = Place(folder, model)
    process = place.stop("--resume")
    place.expect(1, "--resume", words="another run with --resume writes it")
    place.expect(0)  # one without --resume has a file of its own
    assert place.take_output() == place.whole
    process.send_signal(signal.SIGCONT)
    place.expect_end(0, process)
    assert place.take_output() == place.whole
    place.expect_files()


def spoilt(folder, model, kind=Place):
    """A write that is lost is found by the check, and nothing stays."""
    place = kind(folder, model)
    for fault in ("flip", "torn"):
        place.expect(4, "--resume", "-j1", fault=f"{fault},{place.n_writes // 2}")
        place.expect_files()


def spoilt_set(folder, model):
    spoilt(folder, model, SetPlace)


def disk_room(folder, model):
    """What is there already counts as room."""
    mounted = os.path.join(folder, "mounted")
    place = Place(folder, model)
    os.mkdir(mounted)
    size = len(place.whole) + (1 << 20)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mounted], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        os.rmdir(mounted)
        return "cannot mount a tmpfs here: " + done.stderr.strip()
    try:
        place.out = os.path.join(mounted, "out.safetensors")
        place.expect(-signal.SIGKILL, "--resume", fault=f"kill,{place.n_writes // 2}")
        place.expect(1, words="the disk has")
        place.expect(0, "--resume", "--dry-run")
        place.expect(0, "--resume")
        assert place.take_output() == place.whole
    finally:
        subprocess.run(["umount", mounted], check=True)
    return None


TESTS = {
    **{f"killed, {target}": killed(target) for target in TARGETS},
    "killed, a set of nvfp4-comfy": killed("nvfp4-comfy", SetPlace),
    "killed, a set of q8_0-gguf": killed("q8_0-gguf", SetPlace),
    "other options, another input": other_runs,
    "SIGINT with and without --resume": interrupted,
    "SIGINT with and without --resume, a set": interrupted_set,
    "two runs with one output": two_at_once,
    "spoilt writes": spoilt,
    "spoilt writes, a set": spoilt_set,
    "room on the disk": disk_room,
}


def main():
    failed = 0
    root = tempfile.mkdtemp(prefix="qconv-resume-")
    print(f"1..{len(TESTS)}")
    try:
        without_families(os.path.join(root, "data"))
        model = os.path.join(root, "model.safetensors")
        subprocess.run([MAKE_MODEL, "--layers", "10", "--rows", "512", "--cols", "1024", model], check=True)
        for number, (name, test) in enumerate(TESTS.items(), 1):
            folder = os.path.join(root, str(number))
            os.mkdir(folder)
            try:
                skipped = test(folder, model)
                print(f"ok {number} - {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"not ok {number} - {name}")
                for line in traceback.format_exc().splitlines():
                    print("# " + line)
    finally:
        shutil.rmtree(root)
    sys.exit(1 if failed else 0)


main()
