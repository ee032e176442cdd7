"""The stories of http2jp/hpack-test-case: what fourteen encoders made of the same real headers, and
of changes of the table's size.

    test_hpack.py HPACK_STORY [unittest arguments]"""

import json
import os
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import peer  # noqa: E402

HPACK_STORY = sys.argv.pop(1)
LIMIT_S = 120
# At least so many; there are some more, and all are run.
ENCODERS, STORIES, BLOCKS = 13, 31, 3000


def lines(story):
    """The story as hpack_story.c reads it."""
    for case in story["cases"]:
        if case.get("header_table_size") is not None:
            yield f"table {case['header_table_size']}"
        yield f"block {case['wire']}"
        for field in case["headers"]:
            for name, value in field.items():
                yield f"field {name.encode().hex()} {value.encode().hex()}"


def decode(story):
    done = subprocess.run([HPACK_STORY], input="\n".join(lines(story)) + "\n", text=True,
                          capture_output=True, timeout=LIMIT_S)
    return done.returncode, (done.stdout + done.stderr).strip()


def stories():
    """The stories of each encoder: those that hold bytes, as raw-data does not."""
    for folder in sorted(peer.data("hpack-test-case").iterdir()):
        found = [json.loads(path.read_text()) for path in sorted(folder.glob("story_*.json"))]
        if found and "wire" in found[0]["cases"][0]:
            yield folder.name, found


class Stories(unittest.TestCase):
    def test_all_decode_at_every_cut(self):
        blocks = dict.fromkeys((name for name, _ in stories()), 0)
        self.assertGreaterEqual(len(blocks), ENCODERS)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, found in stories():
                self.assertGreaterEqual(len(found), STORIES, name)
                for number, (story, done) in enumerate(zip(found, pool.map(decode, found))):
                    code, said = done
                    self.assertEqual(code, 0, f"{name}, story {number}: {said}")
                    cases = len(story["cases"])
                    cuts = {len(case["wire"]) // 2 for case in story["cases"]}
                    self.assertTrue(said.startswith(f"{cases} blocks, "), said)
                    self.assertGreaterEqual(int(said.split()[2]), 2 * cases + max(cuts) - 1)
                    blocks[name] += cases
        for name, count in blocks.items():
            self.assertGreaterEqual(count, BLOCKS, name)


class Control(unittest.TestCase):
    """A story that is wrong in one thing is found out."""

    def story(self):
        return next(stories())[1][0]

    def refused(self, story, where):
        code, said = decode(story)
        self.assertEqual(code, 1)
        self.assertIn(where, said)

    def test_another_value(self):
        story = self.story()
        story["cases"][2]["headers"][-1] = {"x-else": "1"}
        self.refused(story, "block 2, in pieces of 0")

    def test_a_field_too_few_and_too_many(self):
        few, many = self.story(), self.story()
        few["cases"][1]["headers"].pop()
        many["cases"][1]["headers"].append({"x-more": "1"})
        self.refused(few, "block 1, in pieces of 0")
        self.refused(many, "block 1, in pieces of 0")

    def test_a_broken_block(self):
        story = self.story()
        story["cases"][0]["wire"] = "80" + story["cases"][0]["wire"][2:]
        self.refused(story, "block 0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
