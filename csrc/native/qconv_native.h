/* The native core for C: pack int8 convolution weights once, run them many times.
 *
 * Functions return a status and, where they fail, write what was expected and what came to
 * `message`, a buffer of the caller's of `message_size` bytes (cut off to fit, always terminated;
 * NULL and 0 for none). No C++ exception leaves them. They may be called from any number of
 * threads; a packed convolution is never changed by running it.
 *
 *   size_t size;
 *   qconv_packed_size(&conv, &weight, &size, message, sizeof message);
 *   void* buffer = aligned_alloc(64, size);
 *   qconv_pack(&conv, &weight, buffer, size, message, sizeof message);
 *   qconv_packed* packed;
 *   qconv_open(buffer, size, 0, &packed, message, sizeof message);
 *   qconv_run(packed, &input, NULL, &output, NULL, message, sizeof message);
 *   qconv_close(packed);
 *   free(buffer);
 */
#ifndef QCONV_NATIVE_H
#define QCONV_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define QCONV_NATIVE_API __attribute__((visibility("default")))
#else
#define QCONV_NATIVE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qconv_status {
  QCONV_OK = 0,
  QCONV_INVALID_ARGUMENT = 1, /* the message names it */
  QCONV_OUT_OF_MEMORY = 2,
  QCONV_INTERNAL_ERROR = 3
} qconv_status;

/* The shape of a convolution. Arrays are depth, height, width; dimensions that a 1-D or 2-D
 * convolution lacks have kernel, stride and dilation 1 and padding 0. */
typedef struct qconv_convolution {
  int64_t spatial_dims; /* 1, 2 or 3 */
  int64_t transposed;   /* 0 or 1 */
  int64_t in_channels;
  int64_t out_channels;
  int64_t groups;
  int64_t kernel[3];
  int64_t stride[3];
  int64_t padding[3];
  int64_t output_padding[3];
  int64_t dilation[3];
} qconv_convolution;

/* real = (integer - zero_point) * scale */
typedef struct qconv_weight {
  const int8_t* data;
  /* Elements between neighbours along group, output channel of the group, input channel of the
   * group, kernel depth, height and width. All 0: contiguous, as [out channel][input channel of the
   * group][depth][height][width], or, transposed, [in channel][output channel of the group][depth]
   * [height][width]. */
  int64_t strides[6];
  const double* scales; /* one, or one per output channel; positive, finite, normal */
  int scales_per_channel;
  const int32_t* zero_points; /* likewise, -128 to 127; NULL: 0 */
  int zero_points_per_channel;
  const float* bias; /* one per output channel, finite; NULL: none */
} qconv_weight;

/* Bytes of the packed buffer; it depends on everything but the weights' values. */
QCONV_NATIVE_API qconv_status qconv_packed_size(
    const qconv_convolution* conv, const qconv_weight* weight, size_t* size, char* message,
    size_t message_size);

/* Writes the packed buffer, `size` bytes as qconv_packed_size says, at an address that is a
 * multiple of 64. The same source gives the same bytes on every machine. */
QCONV_NATIVE_API qconv_status qconv_pack(
    const qconv_convolution* conv, const qconv_weight* weight, void* buffer, size_t size,
    char* message, size_t message_size);

/* QCONV_OK if the bytes are a packed buffer, undamaged. Safe on any bytes. */
QCONV_NATIVE_API qconv_status
qconv_validate(const void* buffer, size_t size, char* message, size_t message_size);

/* A packed buffer, checked. */
typedef struct qconv_packed qconv_packed;

/* Checks a buffer, which the caller keeps alive and unchanged until qconv_close. Safe on any
 * bytes. verify: also compare the checksum and all sums, as qconv_validate does. */
QCONV_NATIVE_API qconv_status qconv_open(
    const void* buffer, size_t size, int verify, qconv_packed** packed, char* message,
    size_t message_size);
QCONV_NATIVE_API void qconv_close(qconv_packed* packed); /* NULL is fine */

/* What was packed. */
typedef struct qconv_description {
  qconv_convolution conv;
  int scales_per_channel;
  int zero_points_per_channel;
  int has_zero_points; /* 0: all of them are 0 */
  int has_bias;
} qconv_description;

QCONV_NATIVE_API void qconv_describe(const qconv_packed* packed, qconv_description* description);

/* Where to write what was packed; NULL: leave it. */
typedef struct qconv_unpacked {
  int8_t* weight; /* in the order of qconv_weight's strides 0 */
  double* scales; /* one, or one per output channel */
  int32_t* zero_points;
  float* bias; /* left as it is where there is none */
} qconv_unpacked;

QCONV_NATIVE_API void qconv_unpack(const qconv_packed* packed, const qconv_unpacked* unpacked);

/* Types of elements. Of the first two real = (q - zero_point) * scale; of the others scales and
 * zero points are not looked at. */
typedef enum qconv_type {
  QCONV_UINT8 = 0,
  QCONV_INT8 = 1,
  QCONV_FLOAT32 = 2,
  QCONV_BFLOAT16 = 3
} qconv_type;

/* Tensors are in the order [batch][depth][height][width][channel]. Scales are positive, finite and
 * normal, zero points numbers of their type. */
typedef struct qconv_input {
  const void* data;
  qconv_type type; /* QCONV_UINT8 or QCONV_INT8 */
  int64_t batch;
  int64_t size[3];
  double scale;
  int32_t zero_point;
} qconv_input;

typedef enum qconv_function {
  QCONV_NONE = 0,
  QCONV_RELU = 1,
  QCONV_HARDTANH = 2,   /* clamp(x, lower, upper) */
  QCONV_LEAKY_RELU = 3, /* x, or slope * x where x is negative */
  QCONV_HARDSWISH = 4,  /* x * clamp(x + 3, 0, 6) / 6 */
  QCONV_SWISH = 5,      /* x / (1 + exp(-x)), also called SiLU */
  QCONV_SIGMOID = 6,    /* 1 / (1 + exp(-x)) */
  QCONV_GELU = 7,       /* x * (1 + erf(x / sqrt(2))) / 2 */
  QCONV_GELU_TANH = 8   /* x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2 */
} qconv_function;

/* A tensor of the output's size. It may be the output's own memory where both types are of equal
 * size; otherwise they must not overlap. */
typedef struct qconv_addend {
  const void* data; /* NULL: none */
  qconv_type type;
  double scale;
  int32_t zero_point;
} qconv_addend;

/* output = function(convolution + addend) */
typedef struct qconv_epilogue {
  qconv_function function;
  double lower; /* of QCONV_HARDTANH; not above `upper` */
  double upper;
  double slope; /* of QCONV_LEAKY_RELU; finite */
  qconv_addend addend;
} qconv_epilogue;

/* Integers are rounded half to even and clamped to their type. */
typedef struct qconv_output {
  void* data;
  qconv_type type;
  double scale;
  int32_t zero_point;
} qconv_output;

/* Threads to compute with. `run` calls body(context, begin, end) on ranges that cover [0, count),
 * at the same time if it likes, and returns when all are done. */
typedef struct qconv_threads {
  void (*run)(
      int64_t count, void (*body)(void* context, int64_t begin, int64_t end), void* context);
  int count;
} qconv_threads;

/* Depth, height and width of the output for an input of this size. */
QCONV_NATIVE_API qconv_status qconv_output_size(
    const qconv_packed* packed, const int64_t input_size[3], int64_t output_size[3], char* message,
    size_t message_size);

/* Convolves. epilogue: NULL for none. threads: NULL for the calling one alone. */
QCONV_NATIVE_API qconv_status qconv_run(
    const qconv_packed* packed, const qconv_input* input, const qconv_epilogue* epilogue,
    const qconv_output* output, const qconv_threads* threads, char* message, size_t message_size);

/* Frees the memory that the calling thread keeps between its runs; returns how many bytes. */
QCONV_NATIVE_API size_t qconv_release_scratch(void);

/* The instruction set that runs: "scalar", "avx2", "avx_vnni", "avx512_vnni" or "amx_int8". NULL if
 * the environment variable TORCH_QCONV_ISA names one that this machine lacks. */
QCONV_NATIVE_API const char* qconv_instruction_set(char* message, size_t message_size);

#ifdef __cplusplus
}
#endif

#endif
