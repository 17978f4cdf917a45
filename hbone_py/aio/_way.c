/*
 * The ways of a TLS message in C: receive, feed OpenSSL, read; and write, take the ciphertext, send. And those of an
 * application's: read into the payload of a frame, and given to its socket.
 *
 * Plain Python (way.py) is the specification, and takes over wherever a message is not of the common kind. What this
 * spares is not OpenSSL's work but the calls around it: three or four of the interpreter's and of cffi's become one,
 * and nobody gives up the interpreter's lock for a call of a microsecond.
 *
 * Whose memory: OpenSSL's objects come in as cffi's own with every call, and cffi checks their type; nothing of them
 * is kept. Sockets say their descriptor at each call, so that a closed one is never another's. The shared buffers are
 * held as exported buffers, which neither move nor shrink while we live, and every length is checked against theirs.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    FRAME_HEADER = 9,             /* RFC 9113 4.1: length, type, flags, stream */
    RECORD_HEADER = 5,            /* RFC 8446 5.1; the last two bytes are the length of what follows */
    LARGEST_PLAINTEXT = 16 * 1024 /* of one record: so much room, and one read empties it */
};

/* SSL_read and BIO_read, SSL_write and BIO_write: an object, bytes, how many. Python has checked their types. */
typedef int (*read_function)(void *, void *, int);
typedef int (*write_function)(void *, const void *, int);

/* What cffi exports for modules like this one: the pointer of `object`, if it is of that type; else NULL, an error. */
typedef char *(*pointer_function)(PyObject *object, void *type);
enum { CFFI_TO_C_POINTER = 11 };

typedef struct {
    PyObject_HEAD
    read_function ssl_read, bio_read;
    write_function ssl_write, bio_write;
    pointer_function to_pointer;
    PyObject *ssl_type, *bio_type; /* cffi's */
    Py_buffer ciphertext_in, plaintext_in, ciphertext_out;
    int received; /* bytes of the last receive */
} Ways;

/* An `SSL *` or a `BIO *` out of cffi's object; NULL with an error set. */
static void *pointer_of(const Ways *self, PyObject *object, PyObject *type)
{
    void *pointer = self->to_pointer(object, type);
    if (pointer == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "a null pointer");
    return pointer;
}

/* The `SSL *` and the `BIO *` that both ways are given behind the socket; false with an error set. */
static int take_objects(const Ways *self, PyObject *const *arguments, void **ssl, void **bio)
{
    *ssl = pointer_of(self, arguments[1], self->ssl_type);
    if (*ssl == NULL)
        return 0;
    *bio = pointer_of(self, arguments[2], self->bio_type);
    return *bio != NULL;
}

/* The socket's own word for it; -1 with an error set: a closed one fails as its own methods do. */
static int descriptor_of(PyObject *socket)
{
    int fd = PyObject_AsFileDescriptor(socket);
    if (fd < 0 && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        errno = EBADF;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return fd;
}

/* A size within `limit` out of a Python int; -1 with an error set. */
static Py_ssize_t size_of(PyObject *number, Py_ssize_t limit)
{
    Py_ssize_t size = PyLong_AsSsize_t(number);
    if (size >= 0 && size <= limit)
        return size;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "%zd is not a size between 0 and %zd", size, limit);
    return -1;
}

static int is_expected(Py_ssize_t count, Py_ssize_t expected)
{
    if (count == expected)
        return 1;
    PyErr_Format(PyExc_TypeError, "%zd arguments, please", expected);
    return 0;
}

/* Read once, as a socket's own method does; -1 with an error set. */
static Py_ssize_t receive_once(int fd, void *buffer, Py_ssize_t most)
{
    Py_ssize_t size;
    do
        size = recv(fd, buffer, most, 0);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    return size;
}

/* Offer the socket `size` bytes, once; -1 with errno set. */
static Py_ssize_t send_once(int fd, const void *buffer, Py_ssize_t size)
{
    Py_ssize_t sent;
    do
        sent = send(fd, buffer, size, 0);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* One whole record and nothing else? */
static int is_one_record(const unsigned char *data, Py_ssize_t size)
{
    return size > RECORD_HEADER && RECORD_HEADER + (data[3] << 8 | data[4]) == size;
}

PyDoc_STRVAR(receive_doc,
             "receive(socket, ssl, bio, most, is_between)\n\n"
             "Read once from the socket, at most `most` bytes, to `ciphertext_in`; `received` says how many, 0 at the\n"
             "end. One record, where the last one was whole (`is_between`), is decrypted to `plaintext_in`: how many\n"
             "bytes that is, 0 where OpenSSL's read gave none. -1: nothing was fed, go on with what is there.\n"
             "Raises OSError.");

static PyObject *ways_receive(Ways *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (!is_expected(count, 5))
        return NULL;
    int fd = descriptor_of(arguments[0]);
    if (fd < 0)
        return NULL;
    void *ssl, *bio;
    if (!take_objects(self, arguments, &ssl, &bio))
        return NULL;
    Py_ssize_t most = size_of(arguments[3], self->ciphertext_in.len);
    if (most < 0)
        return NULL;

    Py_ssize_t size = receive_once(fd, self->ciphertext_in.buf, most);
    if (size < 0)
        return NULL;
    self->received = (int)size;
    if (arguments[4] != Py_True || !is_one_record(self->ciphertext_in.buf, size))
        return PyLong_FromLong(-1);
    int got = 0;
    if (self->bio_write(bio, self->ciphertext_in.buf, (int)size) == size)
        got = self->ssl_read(ssl, self->plaintext_in.buf, (int)self->plaintext_in.len);
    return PyLong_FromLong(got > 0 ? got : 0);
}

/* Offer the socket what is encrypted, until it refuses or nothing is left: the bytes it refused, most often none. */
static PyObject *send_pending(Ways *self, int fd, void *bio)
{
    char *buffer = self->ciphertext_out.buf;
    int size = (int)self->ciphertext_out.len, pending;
    do {
        pending = self->bio_read(bio, buffer, size);
        if (pending <= 0)
            break;
        Py_ssize_t sent = send_once(fd, buffer, pending);
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return PyErr_SetFromErrno(PyExc_OSError);
        if (sent < 0)
            sent = 0;
        if (sent < pending)
            return PyBytes_FromStringAndSize(buffer + sent, pending - sent);
    } while (pending == size);
    return PyBytes_FromStringAndSize(NULL, 0);
}

/* Encrypt the first `most` bytes that `object` exports, all of them if it is negative: 0, or -1 with an error set, or
 * 1 where OpenSSL refused. */
static int encrypt(const Ways *self, void *ssl, PyObject *object, Py_ssize_t most)
{
    Py_buffer data;
    if (PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0)
        return -1;
    int result = 0;
    Py_ssize_t size = most < 0 ? data.len : most;
    if (size > data.len || size > INT_MAX) {
        PyErr_SetString(PyExc_ValueError, "more bytes than there are");
        result = -1;
    } else if (size > 0)
        result = self->ssl_write(ssl, data.buf, (int)size) <= 0;
    PyBuffer_Release(&data);
    return result;
}

PyDoc_STRVAR(send_doc,
             "send(socket, ssl, bio, buffer, size, queued)\n\n"
             "Encrypt the first `size` bytes of `buffer`, then `queued`, and offer the socket all that is encrypted:\n"
             "the bytes it refused, or None where OpenSSL refused to encrypt. Raises OSError.");

static PyObject *ways_send(Ways *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (!is_expected(count, 6))
        return NULL;
    void *ssl, *bio;
    if (!take_objects(self, arguments, &ssl, &bio))
        return NULL;
    Py_ssize_t size = size_of(arguments[4], INT_MAX);
    if (size < 0)
        return NULL;

    int refused = size ? encrypt(self, ssl, arguments[3], size) : 0;
    if (refused == 0)
        refused = encrypt(self, ssl, arguments[5], -1);
    if (refused < 0)
        return NULL;
    if (refused)
        return Py_NewRef(Py_None);
    int fd = descriptor_of(arguments[0]);
    return fd < 0 ? NULL : send_pending(self, fd, bio);
}

/* Find how to get a pointer out of cffi's objects, and see that the two types are of cffi's: false with an error set. */
static int understand_cffi(Ways *self)
{
    PyObject *cffi = PyImport_ImportModule("_cffi_backend");
    PyObject *kind = cffi ? PyObject_GetAttrString(cffi, "CType") : NULL;
    PyObject *exported = cffi ? PyObject_GetAttrString(cffi, "_C_API") : NULL;
    void **functions = kind && exported ? PyCapsule_GetPointer(exported, "cffi") : NULL;
    int are_types = functions && (PyObject *)Py_TYPE(self->ssl_type) == kind && (PyObject *)Py_TYPE(self->bio_type) == kind;
    if (are_types)
        self->to_pointer = (pointer_function)(uintptr_t)functions[CFFI_TO_C_POINTER];
    else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "not types of cffi's");
    Py_XDECREF(exported);
    Py_XDECREF(kind);
    Py_XDECREF(cffi);
    return are_types;
}

/* Take what the constructor was given; false with an error set. */
static int take(Ways *self, PyObject *arguments)
{
    unsigned long long ssl_read, ssl_write, bio_read, bio_write;
    PyObject *ssl_type, *bio_type;
    if (!PyArg_ParseTuple(arguments, "KKKKOOw*w*w*", &ssl_read, &ssl_write, &bio_read, &bio_write, &ssl_type,
                          &bio_type, &self->ciphertext_in, &self->plaintext_in, &self->ciphertext_out))
        return 0;
    self->ssl_type = Py_NewRef(ssl_type);
    self->bio_type = Py_NewRef(bio_type);
    self->ssl_read = (read_function)(uintptr_t)ssl_read;
    self->ssl_write = (write_function)(uintptr_t)ssl_write;
    self->bio_read = (read_function)(uintptr_t)bio_read;
    self->bio_write = (write_function)(uintptr_t)bio_write;
    if (!understand_cffi(self))
        return 0;
    if (self->ciphertext_in.len > INT_MAX || self->plaintext_in.len > INT_MAX || self->ciphertext_out.len > INT_MAX ||
        self->plaintext_in.len < LARGEST_PLAINTEXT || self->ciphertext_out.len == 0) {
        PyErr_SetString(PyExc_ValueError, "buffers of such sizes are no use");
        return 0;
    }
    return 1;
}

static PyObject *ways_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Ways *self = (Ways *)allocate(type, 0); /* all zero */
    if (self == NULL)
        return NULL;
    if (!take(self, arguments)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void ways_dealloc(Ways *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyBuffer_Release(&self->ciphertext_in);
    PyBuffer_Release(&self->plaintext_in);
    PyBuffer_Release(&self->ciphertext_out);
    Py_XDECREF(self->ssl_type);
    Py_XDECREF(self->bio_type);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *ways_received(Ways *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(self->received);
}

static PyMethodDef ways_methods[] = {
    {"receive", (PyCFunction)(void (*)(void))ways_receive, METH_FASTCALL, receive_doc},
    {"send", (PyCFunction)(void (*)(void))ways_send, METH_FASTCALL, send_doc},
    {0},
};

static PyGetSetDef ways_attributes[] = {
    {"received", (getter)ways_received, NULL, "bytes of ciphertext that the last `receive` read", NULL},
    {0},
};

static PyType_Slot ways_slots[] = {
    {Py_tp_new, ways_new},
    {Py_tp_dealloc, ways_dealloc},
    {Py_tp_methods, ways_methods},
    {Py_tp_getset, ways_attributes},
    {Py_tp_doc, "Ways(ssl_read, ssl_write, bio_read, bio_write, ssl_type, bio_type, ciphertext_in, plaintext_in, "
                "ciphertext_out)\n\nThe addresses of four functions, cffi's two types, three buffers: for one thread."},
    {0},
};

static PyType_Spec ways_spec = {
    .name = "hbone_py.aio._way.Ways",
    .basicsize = sizeof(Ways),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ways_slots,
};

/* The ways of an application's message --------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Py_buffer buffer; /* frames, one behind the other */
} Frames;

/* The header of a DATA frame that ends nothing. */
static void write_header(unsigned char *at, Py_ssize_t payload, Py_ssize_t stream_id)
{
    at[0] = (unsigned char)(payload >> 16);
    at[1] = (unsigned char)(payload >> 8);
    at[2] = (unsigned char)payload;
    at[3] = at[4] = 0; /* DATA, no flags */
    at[5] = (unsigned char)(stream_id >> 24);
    at[6] = (unsigned char)(stream_id >> 16);
    at[7] = (unsigned char)(stream_id >> 8);
    at[8] = (unsigned char)stream_id;
}

PyDoc_STRVAR(read_doc,
             "read(socket, at, most, stream_id)\n\n"
             "Read once from the socket, at most `most` bytes, as the payload of a frame of that stream, whose header\n"
             "comes to lie at `at`: how many bytes, 0 at the end. Raises OSError.");

static PyObject *frames_read(Frames *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (!is_expected(count, 4))
        return NULL;
    int fd = descriptor_of(arguments[0]);
    if (fd < 0)
        return NULL;
    Py_ssize_t at = size_of(arguments[1], self->buffer.len - FRAME_HEADER);
    if (at < 0)
        return NULL;
    Py_ssize_t room = self->buffer.len - FRAME_HEADER - at;
    Py_ssize_t most = size_of(arguments[2], room < LARGEST_PLAINTEXT ? room : LARGEST_PLAINTEXT);
    if (most < 0)
        return NULL;
    Py_ssize_t stream_id = size_of(arguments[3], INT32_MAX);
    if (stream_id < 0)
        return NULL;

    unsigned char *header = (unsigned char *)self->buffer.buf + at;
    Py_ssize_t size = receive_once(fd, header + FRAME_HEADER, most);
    if (size < 0)
        return NULL;
    write_header(header, size, stream_id);
    return PyLong_FromSsize_t(size);
}

PyDoc_STRVAR(give_doc, "give(socket, data)\n\nAs socket.send: the bytes it took. Raises OSError.");

static PyObject *frames_give(Frames *Py_UNUSED(self), PyObject *const *arguments, Py_ssize_t count)
{
    if (!is_expected(count, 2))
        return NULL;
    int fd = descriptor_of(arguments[0]);
    Py_buffer data;
    if (fd < 0 || PyObject_GetBuffer(arguments[1], &data, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_ssize_t sent = send_once(fd, data.buf, data.len);
    int error = errno;
    PyBuffer_Release(&data);
    if (sent >= 0)
        return PyLong_FromSsize_t(sent);
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *frames_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Frames *self = (Frames *)allocate(type, 0); /* all zero */
    if (self == NULL)
        return NULL;
    if (PyArg_ParseTuple(arguments, "w*", &self->buffer) && self->buffer.len >= FRAME_HEADER)
        return (PyObject *)self;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "no room for a frame");
    Py_DECREF(self);
    return NULL;
}

static void frames_dealloc(Frames *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyBuffer_Release(&self->buffer);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef frames_methods[] = {
    {"read", (PyCFunction)(void (*)(void))frames_read, METH_FASTCALL, read_doc},
    {"give", (PyCFunction)(void (*)(void))frames_give, METH_FASTCALL, give_doc},
    {0},
};

static PyType_Slot frames_slots[] = {
    {Py_tp_new, frames_new},
    {Py_tp_dealloc, frames_dealloc},
    {Py_tp_methods, frames_methods},
    {Py_tp_doc, "Frames(buffer)\n\nApplications' bytes: read as frames into one buffer, and given to their sockets."},
    {0},
};

static PyType_Spec frames_spec = {
    .name = "hbone_py.aio._way.Frames",
    .basicsize = sizeof(Frames),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = frames_slots,
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    int result = type ? PyModule_AddObjectRef(module, name, type) : -1;
    Py_XDECREF(type);
    return result;
}

static int add_types(PyObject *module)
{
    return add_type(module, "Ways", &ways_spec) < 0 ? -1 : add_type(module, "Frames", &frames_spec);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)add_types},
    {0},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hbone_py.aio._way",
    .m_doc = "The ways of a message in C: see way.py and relay.py.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__way(void);

PyMODINIT_FUNC PyInit__way(void)
{
    return PyModuleDef_Init(&module);
}
