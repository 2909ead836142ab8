/* The compiled form of scan.py: the same lines are found under the same names.
 *
 * One pass a line: end of line, kubelet's stamp, skeleton, hash, look-up; once more without identifiers where that finds
 * nothing. The pass runs without the interpreter's lock, so that logs are read meanwhile. mask.py says what a
 * skeleton is and what an identifier; every rule here names the one there that it repeats.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

enum { OVERHEAD = 400, STAMP = 31, SECOND = 19, FIRST_SLOTS = 1024, ID = 7 };
static const char SHAPE[] = "0000-00-00T00:00:00.000000000Z "; /* clock.SHAPE */

enum { DIGIT = 1, HEX = 2, LETTER = 4 };
static uint8_t kind[256];
static uint64_t seed[2];

typedef struct {
    uint64_t hash;
    char *name; /* NULL where the slot is free */
    size_t length;
    size_t start, end; /* of the codes */
    PyObject *line;
} Entry;

typedef struct {
    PyObject_HEAD
    Entry *entries; /* open addressing, never more than half full */
    size_t slots, used;
    Py_ssize_t size;
    char *name, *bare; /* room for one line */
    size_t room;
    int busy;
} Scanner;

/* -- names -- */

static inline int is(uint8_t byte, int kinds) { return kind[byte] & kinds; }

/* mask.skeleton: digits become 0, but for those of an escape of JSON. */
static void skeleton(char *to, const char *from, size_t length) {
    for (size_t at = 0; at < length; at++) {
        uint8_t byte = (uint8_t)from[at];
        to[at] = (uint8_t)(byte - '0') < 10 ? '0' : (char)byte;
    }
    const char *end = from + length, *at = from;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at)))) {
        if (end - at > 1 && at[1] == '\\') {
            at += 2;
        } else if (end - at > 5 && at[1] == 'u' && is((uint8_t)at[2], HEX) && is((uint8_t)at[3], HEX) &&
                   is((uint8_t)at[4], HEX) && is((uint8_t)at[5], HEX)) {
            memcpy(to + (at - from), at, 6);
            at += 6;
        } else {
            at++;
        }
    }
}

/* The end of a run of hexadecimal digits. */
static size_t run(const char *text, size_t at, size_t length) {
    while (at < length && is((uint8_t)text[at], HEX)) at++;
    return at;
}

/* mask._IDS, what follows eight digits of a UUID: returns its end, 0 where none stands there. */
static size_t uuid(const char *text, size_t at, size_t length) {
    static const size_t groups[] = {4, 4, 4, 12};
    for (size_t group = 0; group < 4; group++) {
        if (at >= length || text[at] != '-' || length - at <= groups[group]) return 0;
        for (size_t digit = 1; digit <= groups[group]; digit++)
            if (!is((uint8_t)text[at + digit], HEX)) return 0;
        at += groups[group] + 1;
    }
    return at < length && is((uint8_t)text[at], DIGIT | LETTER) ? 0 : at;
}

/* mask.plain_ids: identifiers of seven hexadecimal digits or more become seven zeros. Returns the new length, and
 * whether all of them were plain numbers, which every text with the same skeleton has at the same places. */
static size_t plain_ids(char *to, const char *text, size_t length, int *numbers) {
    size_t out = 0, at = 0;
    *numbers = 1;
    while (at < length) {
        if (!is((uint8_t)text[at], HEX)) {
            to[out++] = text[at++];
            continue;
        }
        size_t stop = run(text, at, length), digits = stop - at;
        if (digits >= ID && !(stop < length && is((uint8_t)text[stop], LETTER))) {
            size_t whole = digits == 8 ? uuid(text, stop, length) : 0;
            if (whole) stop = whole;
            int kinds = 0, all = LETTER | DIGIT;
            for (size_t one = at; one < stop; one++) {
                kinds |= kind[(uint8_t)text[one]];
                all &= kind[(uint8_t)text[one]];
            }
            if (!(all & LETTER) && !(at && is((uint8_t)text[at - 1], DIGIT | LETTER))) {
                if (whole || kinds & LETTER) *numbers = 0;
                memset(to + out, '0', ID);
                out += ID;
                at = stop;
                continue;
            }
        }
        memcpy(to + out, text + at, stop - at);
        out += stop - at;
        at = stop;
    }
    return out;
}

/* -- the table -- */

static inline uint64_t mixed(uint64_t one, uint64_t other) {
    __uint128_t product = (__uint128_t)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Keyed by the interpreter's own hash seed: log text is foreign and must not choose its slots. */
static uint64_t hashed(const char *name, size_t length) {
    uint64_t hash = seed[0] ^ length, word;
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        memcpy(&word, name + at, 8);
        hash = mixed(hash ^ word, seed[1]);
    }
    word = 0;
    memcpy(&word, name + at, length - at);
    return mixed(hash ^ word, seed[1] ^ 0x9e3779b97f4a7c15u);
}

static Entry *entry(const Scanner *self, const char *name, size_t length, uint64_t hash) {
    for (size_t at = hash & (self->slots - 1);; at = (at + 1) & (self->slots - 1)) {
        Entry *found = &self->entries[at];
        if (!found->name || (found->hash == hash && found->length == length && !memcmp(found->name, name, length)))
            return found;
    }
}

static Entry *known(const Scanner *self, const char *name, size_t length) {
    if (!self->slots) return NULL; /* there was no memory to begin anew */
    Entry *found = entry(self, name, length, hashed(name, length));
    return found->name ? found : NULL;
}

/* The entry of a line by the codes in it, where these decide. ``name`` has room for them behind the line's own. */
static Entry *by_codes(const Scanner *self, Entry *found, char *name, size_t length, const char *text) {
    if (!found || !found->end) return found;
    name[length] = '\n';
    memcpy(name + length + 1, text + found->start, found->end - found->start);
    return known(self, name, length + 1 + found->end - found->start);
}

/* ``own`` tells whether the line can be known by its own skeleton as well. */
static Entry *look_up(const Scanner *self, const char *text, size_t length, int *own) {
    *own = 0;
    skeleton(self->name, text, length);
    Entry *found = known(self, self->name, length);
    if (found) return by_codes(self, found, self->name, length, text);
    size_t short_length = plain_ids(self->bare, text, length, own);
    skeleton(self->name, self->bare, short_length);
    found = known(self, self->name, short_length);
    *own = *own && found && !found->end;
    return by_codes(self, found, self->name, short_length, self->bare);
}

static int grow(Scanner *self) {
    size_t slots = self->slots ? self->slots * 2 : FIRST_SLOTS;
    Entry *entries = calloc(slots, sizeof(Entry)), *old = self->entries;
    size_t before = self->slots;
    if (!entries) return -1;
    self->entries = entries;
    self->slots = slots;
    for (size_t at = 0; at < before; at++)
        if (old[at].name) *entry(self, old[at].name, old[at].length, old[at].hash) = old[at];
    free(old);
    return 0;
}

static void forget(Scanner *self) {
    Entry *entries = self->entries;
    size_t slots = self->slots;
    self->entries = NULL;
    self->slots = self->used = 0;
    self->size = 0;
    for (size_t at = 0; at < slots; at++)
        if (entries[at].name) {
            free(entries[at].name);
            Py_DECREF(entries[at].line);
        }
    free(entries);
}

/* -- the type -- */

static int is_busy(const Scanner *self) {
    if (self->busy) PyErr_SetString(PyExc_RuntimeError, "a scanner serves one thread at a time");
    return self->busy;
}

static PyObject *scanner_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords)) {
    allocfunc make = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Scanner *self = (Scanner *)make(type, 0);
    if (self && grow(self)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void scanner_dealloc(Scanner *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    forget(self);
    free(self->name);
    free(self->bare);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *scanner_get(Scanner *self, PyObject *name) {
    char *text;
    Py_ssize_t length;
    if (is_busy(self) || PyBytes_AsStringAndSize(name, &text, &length)) return NULL;
    Entry *found = known(self, text, (size_t)length);
    PyObject *line = found ? found->line : Py_None;
    Py_INCREF(line);
    return line;
}

static int place(PyObject *line, const char *which, size_t *found) {
    PyObject *value = PyObject_GetAttrString(line, which);
    if (!value) return -1;
    *found = PyLong_AsSize_t(value);
    Py_DECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

/* Returns -1 without memory. */
static int put(Scanner *self, const char *name, size_t length, PyObject *line, size_t start, size_t end) {
    if (2 * (self->used + 1) > self->slots && grow(self)) return -1;
    uint64_t hash = hashed(name, length);
    Entry *found = entry(self, name, length, hash);
    PyObject *before = found->line;
    if (!found->name) {
        if (!(found->name = malloc(length + 1))) return -1;
        memcpy(found->name, name, length);
        found->hash = hash;
        found->length = length;
        self->used++;
        self->size += (Py_ssize_t)(3 * length + OVERHEAD);
    }
    found->start = start;
    found->end = end;
    Py_INCREF(line);
    found->line = line;
    Py_XDECREF(before);
    return 0;
}

static PyObject *scanner_remember(Scanner *self, PyObject *args) {
    const char *name;
    Py_ssize_t length;
    PyObject *line;
    size_t start, end;
    if (!PyArg_ParseTuple(args, "y#O:remember", &name, &length, &line)) return NULL;
    if (place(line, "start", &start) || place(line, "end", &end) || is_busy(self)) return NULL;
    if (start > end || end > (size_t)length) {
        PyErr_SetString(PyExc_ValueError, "the codes of a line stand within its name");
        return NULL;
    }
    if (put(self, name, (size_t)length, line, start, end)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *scanner_clear(Scanner *self, PyObject *Py_UNUSED(none)) {
    if (is_busy(self)) return NULL;
    forget(self);
    if (grow(self)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* What one scan found. */
typedef struct {
    Entry **lines; /* NULL for a line that is not known */
    int32_t *starts, *changes;
    uint8_t *own; /* lines to be known by their own skeletons as well */
    size_t count, changed, room;
    int odd, failed; /* a line without the kubelet's stamp; no memory */
} Found;

static int wider(void *array, size_t size) {
    void **held = array, *wide = realloc(*held, size);
    if (!wide) return -1;
    *held = wide;
    return 0;
}

static int more(Found *found) {
    size_t room = found->room ? found->room * 2 : 4096;
    if (wider(&found->lines, room * sizeof(Entry *)) || wider(&found->starts, (room + 1) * sizeof(int32_t)) ||
        wider(&found->changes, room * sizeof(int32_t)) || wider(&found->own, room))
        return -1;
    found->room = room;
    return 0;
}

static int is_stamp(const char *line, size_t length) {
    char shape[STAMP];
    if (length < STAMP) return 0;
    skeleton(shape, line, STAMP);
    return !memcmp(shape, SHAPE, STAMP);
}

static void pass(const Scanner *self, const char *data, size_t length, int stamped, Found *found) {
    const char *end = data + length, *line = data, *second = NULL;
    size_t gap = stamped ? STAMP : 0;
    for (;;) {
        const char *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        if (!stop) stop = end;
        if (found->count == found->room && more(found)) {
            found->failed = 1;
            return;
        }
        if (stamped) {
            if (!is_stamp(line, (size_t)(stop - line))) {
                found->odd = 1;
                return;
            }
            if (!second || memcmp(second, line, SECOND)) found->changes[found->changed++] = (int32_t)found->count;
            second = line;
        }
        const char *text = line + gap;
        int own;
        found->starts[found->count] = (int32_t)(text - data);
        found->lines[found->count] = look_up(self, text, (size_t)(stop - text), &own);
        found->own[found->count++] = (uint8_t)own;
        if (stop == end) break;
        line = stop + 1;
    }
    found->starts[found->count] = (int32_t)(length + 1 + gap);
}

static PyObject *numbers(const int32_t *found, size_t count) {
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)found, (Py_ssize_t)(count * sizeof(int32_t)));
    PyObject *view = bytes ? PyMemoryView_FromObject(bytes) : NULL;
    PyObject *cast = view ? PyObject_CallMethod(view, "cast", "s", "i") : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(view);
    return cast;
}

static PyObject *told(const Found *found) {
    PyObject *starts = numbers(found->starts, found->count + 1), *changes = numbers(found->changes, found->changed);
    PyObject *lines = PyList_New((Py_ssize_t)found->count), *all = NULL;
    for (size_t at = 0; lines && at < found->count; at++) {
        PyObject *line = found->lines[at] ? found->lines[at]->line : Py_None;
        Py_INCREF(line);
        PyList_SetItem(lines, (Py_ssize_t)at, line);
    }
    if (starts && lines && changes) all = PyTuple_Pack(3, starts, lines, changes);
    Py_XDECREF(starts);
    Py_XDECREF(lines);
    Py_XDECREF(changes);
    return all;
}

/* Remember lines by their own skeletons, for the next time; ``lines`` are what ``told`` made of the entries. */
static int remember_own(Scanner *self, const char *data, size_t gap, const Found *found, PyObject *lines) {
    for (size_t at = 0; at < found->count; at++) {
        if (!found->own[at]) continue;
        size_t length = (size_t)(found->starts[at + 1] - found->starts[at]) - gap - 1;
        skeleton(self->name, data + found->starts[at], length);
        if (known(self, self->name, length)) continue;
        if (put(self, self->name, length, PyList_GetItem(lines, (Py_ssize_t)at), 0, 0)) return -1;
    }
    return 0;
}

static int make_room(Scanner *self, size_t length) {
    if (2 * length + 16 <= self->room) return 0;
    size_t room = 2 * length + 16; /* a name with codes is at most as long as two lines and what parts them */
    char *name = realloc(self->name, room);
    if (name) self->name = name;
    char *bare = realloc(self->bare, room);
    if (bare) self->bare = bare;
    if (!name || !bare) return -1;
    self->room = room;
    return 0;
}

static PyObject *scanner_scan(Scanner *self, PyObject *args, PyObject *keywords) {
    static char *names[] = {"data", "stamped", NULL};
    const char *data;
    Py_ssize_t length;
    int stamped;
    Found found = {0};
    PyObject *result = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y#$p:scan", names, &data, &length, &stamped) || is_busy(self))
        return NULL;
    if (length > INT32_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "a block of lines has at most 1 GiB");
        return NULL;
    }
    if (make_room(self, (size_t)length)) return PyErr_NoMemory();
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    pass(self, data, (size_t)length, stamped, &found);
    Py_END_ALLOW_THREADS
    if (found.failed)
        PyErr_NoMemory();
    else if (found.odd)
        result = Py_NewRef(Py_None);
    else
        result = told(&found);
    if (result && result != Py_None &&
        remember_own(self, data, stamped ? STAMP : 0, &found, PyTuple_GetItem(result, 1))) {
        Py_CLEAR(result);
        PyErr_NoMemory();
    }
    self->busy = 0;
    free(found.own);
    free(found.lines);
    free(found.starts);
    free(found.changes);
    return result;
}

static PyMethodDef methods[] = {
    {"get", (PyCFunction)scanner_get, METH_O, "Return what is known under a name."},
    {"remember", (PyCFunction)scanner_remember, METH_VARARGS, "Remember a line under a name."},
    {"clear", (PyCFunction)scanner_clear, METH_NOARGS, "Forget everything."},
    {"scan", (PyCFunction)(void (*)(void))scanner_scan, METH_VARARGS | METH_KEYWORDS, "Look some whole lines up."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"size", T_PYSSIZET, offsetof(Scanner, size), READONLY, "About how many bytes what is remembered takes."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Remembers lines by their names, as scan.Scanner does."},
    {Py_tp_new, scanner_new},
    {Py_tp_dealloc, scanner_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "rollout_verdict.core.reduction._scan.Scanner",
    .basicsize = sizeof(Scanner),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static int execute(PyObject *module) {
    for (int byte = 0; byte < 256; byte++) {
        int small = byte | 32, letter = small >= 'a' && small <= 'z', digit = byte >= '0' && byte <= '9';
        kind[byte] = (uint8_t)((digit ? DIGIT | HEX : 0) | (letter ? LETTER : 0) | (letter && small <= 'f' ? HEX : 0));
    }
    for (int which = 0; which < 2; which++) {
        PyObject *text = PyBytes_FromString(which ? "rollout-verdict" : "scan");
        if (!text) return -1;
        seed[which] = (uint64_t)PyObject_Hash(text) * 0x9e3779b97f4a7c15u | 1;
        Py_DECREF(text);
    }
    PyObject *type = PyType_FromSpec(&spec);
    int failed = !type || PyModule_AddObjectRef(module, "Scanner", type);
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_doc = "The compiled form of scan.py.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__scan(void) { return PyModuleDef_Init(&module); }
