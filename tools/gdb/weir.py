"""Commands for gdb that show the tasks of a program that uses weir, alive or as a core file:

    (gdb) source tools/gdb/weir.py
    (gdb) weir tasks              all tasks: what each waits for, and where it was started
    (gdb) weir stack 0.5.1        one task's stack; the number is the first column's

They read the layout that the library carries with it (src/rt/raw.h), so that they need no
types of weir's in the debugging information."""

import struct

import gdb

FIELDS = (
    "loop_bytes loop_index loop_now_ns loop_current loop_tasks loop_began "
    "slab_object_bytes slab_per_chunk_log2 slab_chunks slab_chunk_count "
    "task_slot task_generation task_scope task_fiber task_begun_ns task_site "
    "task_extra task_state extra_name fiber_bytes fiber_sp fiber_task fiber_wait "
    "wait_what wait_object wait_since_ns "
    "scope_parent scope_name scope_site scope_deadline_ns scope_cancel_code "
    "state_queued state_ready state_running state_parked state_away state_ended").split()
MAGIC = b"weir-raw-layout\0"
VERSION = 1
# Where a switch leaves the frame pointer and the return address, in words.
SAVED = {"i386:x86-64": (5, 6), "aarch64": (0, 1)}


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def half(address):
    return struct.unpack("<I", memory(address, 4))[0]


def text(address):
    if not address:
        return ""
    return gdb.Value(address).cast(gdb.lookup_type("char").pointer()).string(errors="replace")


class Layout:
    """The offsets, by their names in src/rt/raw.h."""

    def __init__(self):
        symbol = gdb.lookup_global_symbol("raw_layout") or gdb.lookup_static_symbol("raw_layout")
        value = symbol.value().address if symbol else gdb.parse_and_eval("(char *)&raw_layout")
        at = int(value)
        if memory(at, 16) != MAGIC or half(at + 16) != VERSION:
            raise gdb.GdbError("this program's weir is another version than this script's")
        self.places = word(at + 32)
        for number, name in enumerate(FIELDS):
            setattr(self, name, half(at + 40 + 4 * number))
        self.states = {getattr(self, "state_" + name): name for name in
                       ("queued", "ready", "running", "parked", "away", "ended")}


class Task:
    def __init__(self, layout, loop, at, generation):
        self.layout, self.at = layout, at
        self.handle = f"{loop}.{half(at + layout.task_slot)}.{generation}"
        self.state = layout.states.get(memory(at + layout.task_state, 1)[0], "?")
        self.site = text(word(at + layout.task_site))
        extra = word(at + layout.task_extra)
        self.name = text(word(extra + layout.extra_name)) if extra else ""
        self.name = self.name or self.site.partition(" ")[2] or self.site
        begun = self.state in ("running", "ready", "parked")
        self.fiber = word(at + layout.task_fiber) if begun else 0

    def waits_for(self):
        wait = word(self.fiber + self.layout.fiber_wait) if self.state == "parked" else 0
        return text(word(wait + self.layout.wait_what)) if wait else ""

    def path(self):
        names, scope = [], word(self.at + self.layout.task_scope)
        while scope:
            name = word(scope + self.layout.scope_name) or word(scope + self.layout.scope_site)
            names.append(text(name))
            scope = word(scope + self.layout.scope_parent)
        return " > ".join(reversed(names))

    def stack(self):
        """Program counters, innermost first, along the frame pointers."""
        sp = word(self.fiber + self.layout.fiber_sp) if self.fiber else 0
        if not sp or self.state == "running":
            return
        frame_at, pc_at = SAVED[gdb.selected_frame().architecture().name()]
        frame, pc = word(sp + 8 * frame_at), word(sp + 8 * pc_at)
        while pc:
            yield pc
            if not sp < frame < self.fiber:
                return
            frame, pc = word(frame), word(frame + 8)


def tasks(layout):
    loops, count = word(word(layout.places)), half(word(layout.places + 8))
    for index in range(count if loops else 0):
        slab = loops + index * layout.loop_bytes + layout.loop_tasks
        chunks, size = word(slab + layout.slab_chunks), word(slab + layout.slab_object_bytes)
        for number in range(half(slab + layout.slab_chunk_count)):
            chunk = word(chunks + 8 * number)
            for slot in range(1 << half(slab + layout.slab_per_chunk_log2)):
                generation = half(chunk + slot * size + layout.task_generation)
                if generation & 1:
                    yield Task(layout, index, chunk + slot * size, generation)


class Weir(gdb.Command):
    """Look at the tasks of a program that uses weir: weir tasks, weir stack TASK."""

    def __init__(self):
        super().__init__("weir", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, prefix=True)


class WeirTasks(gdb.Command):
    """weir tasks: every task, its state, what it waits for, where it was started."""

    def __init__(self):
        super().__init__("weir tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        print(f"{'TASK':<12} {'STATE':<8} {'WAITS FOR':<24} STARTED AT  NAME in SCOPES")
        for task in tasks(Layout()):
            print(f"{task.handle:<12} {task.state:<8} {task.waits_for() or '-':<24} "
                  f"{task.site}  {task.name}  in {task.path()}")


class WeirStack(gdb.Command):
    """weir stack TASK: where a task stands that waits; TASK as `weir tasks` shows it."""

    def __init__(self):
        super().__init__("weir stack", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        found = [task for task in tasks(Layout()) if task.handle == argument.strip()]
        if not found:
            raise gdb.GdbError(f"there is no task {argument!r}: `weir tasks` lists them")
        for number, pc in enumerate(found[0].stack()):
            place = gdb.find_pc_line(pc - 1)
            block = gdb.block_for_pc(pc - 1)
            while block and not block.function:
                block = block.superblock
            name = block.function.name if block else "?"
            where = f"{place.symtab.filename}:{place.line}" if place.symtab else f"{pc:#x}"
            print(f"#{number:<3} {name}  {where}")


Weir()
WeirTasks()
WeirStack()
