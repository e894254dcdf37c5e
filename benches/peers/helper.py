"""What benches/peers/run, served and artifacts cannot say in bash: timing with peak memory, comparing trees, changing files, medians."""

import hashlib
import json
import os
import resource
import stat
import statistics
import subprocess
import sys
import time


def timed(log, step, command):
    """Runs a shell command; appends its wall seconds and the largest process's peak KiB to `log`. Fails if it fails."""
    os.sync()  # what the step before left to be written back is not this one's
    started = time.monotonic()
    code = subprocess.run(["bash", "-c", "set -euo pipefail; " + command]).returncode
    seconds = time.monotonic() - started
    if code != 0:
        sys.exit(f"{step}: exit code {code}: {command}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    record(log, step, seconds=seconds, peak_kib=peak)


def record(log, step, **values):
    with open(log, "a") as out:
        out.write(json.dumps({"step": step, **values}) + "\n")


def tree(root, mtime_unit_ns):
    """Every entry beneath `root` with what must survive: mode, mtime, size, link, hard link group, content."""
    root, groups, found = os.fsencode(root), {}, {}
    names = [b""]
    for folder, folders, files in os.walk(root):
        names += [os.path.relpath(os.path.join(folder, name), root) for name in folders + files]
    for name in sorted(names):
        path = os.path.join(root, name)
        seen = os.lstat(path)
        row = [stat.S_IFMT(seen.st_mode), stat.S_IMODE(seen.st_mode)]
        if name:  # the folder itself was made by whoever restored into it
            row.append(seen.st_mtime_ns // mtime_unit_ns)
        else:
            row = row[:1]
        if stat.S_ISLNK(seen.st_mode):
            row.append(os.readlink(path))
        if stat.S_ISREG(seen.st_mode):
            group = groups.setdefault((seen.st_dev, seen.st_ino), name)
            with open(path, "rb") as content:
                row += [seen.st_size, group, hashlib.blake2b(content.read()).digest()]
        found[name] = row
    return found


def same(original, restored, mtime_unit_ns=1):
    """Exits with the first differences unless both trees are equal (mtimes rounded down to the unit)."""
    one, other = tree(original, int(mtime_unit_ns)), tree(restored, int(mtime_unit_ns))
    if len(one) < 2:
        sys.exit(f"{original}: nothing to compare")
    wrong = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    if wrong:
        sys.exit(f"{restored} differs from {original} in {len(wrong)} entries, first {wrong[:5]}")


def change(root, number):
    """Changes every hundredth regular file: appends to it, or overwrites 16 bytes in the middle, in turn."""
    files = []
    for folder, _, names in os.walk(os.fsencode(root)):
        paths = (os.path.join(folder, name) for name in names)
        files += [path for path in paths if stat.S_ISREG(os.lstat(path).st_mode)]
    for index, path in enumerate(sorted(files)[::100]):
        mode, size = os.lstat(path).st_mode, os.lstat(path).st_size
        os.chmod(path, mode | 0o600)
        with open(path, "r+b") as file:
            file.seek(size // 2 if index % 2 and size > 64 else size)
            file.write(b"changed %08d" % number)
        os.chmod(path, stat.S_IMODE(mode))


def million(root):
    """A synthetic workspace: 1,000,000 small files of 100 to 1,099 bytes in 10,000 folders, the same every time."""
    for folder in range(10_000):
        path = os.path.join(root, f"{folder // 100:02}", f"{folder % 100:02}")
        os.makedirs(path)
        for file in range(100):
            number = folder * 100 + file
            body = hashlib.sha256(b"%d" % number).hexdigest().encode() * 20
            with open(os.path.join(path, f"file-{file:02}.txt"), "wb") as out:
                out.write(body[: 100 + number % 1000])


def files(small, count, large, gib):
    """`count` files of 4 KiB in folders of a hundred, and one of `gib` GiB; content that nobody has seen before."""
    for number in range(int(count)):
        folder = os.path.join(small, f"{number // 100:04}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{number:06}.bin"), "wb") as out:
            out.write(os.urandom(4096))
    os.makedirs(large)
    with open(os.path.join(large, "large.bin"), "wb") as out:
        for _ in range(int(gib) * 64):
            out.write(os.urandom(16 << 20))


def folder_bytes(root):
    paths = (os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sum(os.lstat(path).st_size for path in paths)


def whole_rounds(log):
    """How many rounds came to their end, and their lines by step."""
    rounds, steps = 0, {}
    with open(log) as lines:
        waiting = []
        for line in map(json.loads, lines):
            if line["step"] == "begin":
                waiting = []  # what a round that was broken off has left
            elif line["step"] != "end":
                waiting.append(line)
            else:
                rounds += 1
                for whole in waiting:
                    steps.setdefault(whole["step"], []).append(whole)
    return rounds, steps


def served(log, title):
    """Medians over the whole rounds of each phase's time over HTTP by its time embedded, as Markdown."""
    rounds, steps = whole_rounds(log)
    print(f"\n### {title} ({rounds} rounds)\n")
    print("| phase | served, s | embedded, s | ratio: median (range) |\n|---|---|---|---|")
    for phase in ("stash", "again", "changed", "unstash"):
        over, own = ([line["seconds"] for line in steps[f"{way} {phase}"]] for way in ("http", "own"))
        ratios = [a / b for a, b in zip(over, own)]
        print(f"| {phase} | {statistics.median(over):.2f} | {statistics.median(own):.2f} "
              f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


def artifacts(log, count):
    """Medians over the whole rounds of each step's time by buildkite-agent's, as Markdown."""
    rounds, steps = whole_rounds(log)
    print(f"\n### Artifacts ({rounds} rounds, {count} small files)\n")
    print("| step | pannier, s | buildkite-agent, s | times as fast: median (range) |\n|---|---|---|---|")
    for step in ("small up", "small up again", "small down", "large up", "large down"):
        own, other = ([line["seconds"] for line in steps[f"{who} {step}"]] for who in ("pannier", "agent"))
        ratios = [b / a for a, b in zip(own, other)]
        print(f"| {step} | {statistics.median(own):.2f} | {statistics.median(other):.2f} "
              f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")
    print(f"| largest peak memory, MiB | {max(line['peak_kib'] for lines in steps.values() for line in lines) / 1024:.0f} | | |")


def table(log, title):
    """Medians over the whole rounds of ratios within a round, and their range, as Markdown."""
    rounds, steps = whole_rounds(log)

    def values(step, key="seconds"):
        return [line[key] for line in steps.get(step, [])]

    def row(label, mine, name, peer, key, unit, form):
        ratios = [a / b for a, b in zip(values(mine, key), values(peer, key))]
        if ratios:
            a, b = (statistics.median(values(step, key)) / unit for step in (mine, peer))
            middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
            print(f"| {label} | {a:{form}} | {name}: {b:{form}} | {middle:.2f} ({low:.2f} to {high:.2f}) |")

    print(f"\n### {title} ({rounds} rounds)\n")
    print("| step | pannier | peer | ratio: median (range) |\n|---|---|---|---|")
    for label, mine, name, peer in [
            ("first stash, s", "stash", "tar, zstd -3", "pack"), ("again, unchanged, s", "again", "restic", "restic again"),
            ("again, unchanged, s", "again", "parallel lstat", "lstat"), ("1 % changed, s", "changed", "restic", "restic changed"),
            ("unstash, empty folder, s", "unstash", "zstd -dc, tar x", "unpack")]:
        row(label, mine, name, peer, "seconds", 1, ".2f")
    for label, mine, name, peer in [("first stash, stored MB", "stored", "tar, zstd -3", "packed"),
                                    ("1 % changed, uploaded MB", "uploaded", "changed chunks, compressed", "new")]:
        row(label, mine, name, peer, "bytes", 1e6, ".1f")
    for step in ("stash", "again", "changed", "unstash"):
        if peaks := values(step, "peak_kib"):
            print(f"| {step}, largest peak memory, MiB | {max(peaks) / 1024:.0f} | | |")


def main(verb, *arguments):
    if verb == "timed":
        timed(*arguments)
    elif verb == "bytes":
        record(arguments[0], arguments[1], bytes=sum(map(folder_bytes, arguments[2:])))
    elif verb == "file-bytes":
        record(arguments[0], arguments[1], bytes=os.stat(arguments[2]).st_size)
    elif verb == "uploaded":
        with open(arguments[1]) as said:
            summary = json.load(said)
        record(arguments[0], "uploaded", bytes=summary["uploaded_bytes"])
        record(arguments[0], "new", bytes=summary["new_stored_bytes"])
    elif verb == "mark":
        record(arguments[0], arguments[1])
    elif verb == "change":
        change(arguments[0], int(arguments[1]))
    else:
        {"same": same, "million": million, "table": table, "served": served, "files": files,
         "artifacts": artifacts}[verb](*arguments)


main(*sys.argv[1:])
