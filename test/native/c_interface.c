/* The C interface, from C: pack, check, open, describe, run, unpack, and what goes wrong. */
#include <stdio.h>
#include <string.h>

#include "native/qconv_native.h"

static int failures = 0;

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) {                                              \
      printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                    \
    }                                                                \
  } while (0)

enum { kIn = 2, kOut = 3, kWeights = 6 };

static char message[256];
static uint8_t buffer[4096] __attribute__((aligned(64)));

static void call_body(
    int64_t count, void (*body)(void* context, int64_t begin, int64_t end), void* context) {
  body(context, 0, count / 2);
  body(context, count / 2, count);
}

static void run(const qconv_packed* packed) {
  /* Two pixels. Real values: x = {1, 2}, {3, -4}. */
  const uint8_t activation[4] = {11, 12, 13, 6};
  uint8_t result[6] = {0};
  int64_t size[3];
  const int64_t input_size[3] = {1, 1, 2};
  const qconv_input input = {activation, QCONV_UINT8, 1, {1, 1, 2}, 1.0, 10};
  const qconv_output output = {result, QCONV_UINT8, 1.0, 100};
  const qconv_threads threads = {call_body, 2};
  /* w - 1 = {0, 1}, {2, 3}, {4, 5}; scales 1, 2, 3; bias 0, 1, 2 */
  const uint8_t expected[6] = {102, 117, 144, 96, 89, 78};
  CHECK(qconv_output_size(packed, input_size, size, message, sizeof message) == QCONV_OK);
  CHECK(size[0] == 1 && size[1] == 1 && size[2] == 2);
  CHECK(qconv_run(packed, &input, NULL, &output, NULL, message, sizeof message) == QCONV_OK);
  CHECK(memcmp(result, expected, sizeof expected) == 0);
  memset(result, 0, sizeof result);
  CHECK(qconv_run(packed, &input, NULL, &output, &threads, message, sizeof message) == QCONV_OK);
  CHECK(memcmp(result, expected, sizeof expected) == 0);
  CHECK(
      qconv_run(packed, NULL, NULL, &output, NULL, message, sizeof message) ==
      QCONV_INVALID_ARGUMENT);
  CHECK(strcmp(message, "input must not be NULL") == 0);
}

/* 2 channels to 1, each input pixel to two output pixels: weights [in][out][1][2]. */
static void run_transposed(void) {
  const int8_t data[4] = {1, 2, 3, 4};
  const double scale = 1;
  const uint8_t activation[4] = {11, 12, 13, 6};
  /* Real values x = {1, 2}, {3, -4}: 1 * 1 + 2 * 3, 1 * 2 + 2 * 4, 3 * 1 - 4 * 3, 3 * 2 - 4 * 4. */
  const uint8_t expected[4] = {107, 110, 91, 90};
  const int64_t empty[3] = {1, 1, 0};
  const qconv_convolution conv = {1,         1,         2,         1,         1,
                                  {1, 1, 2}, {1, 1, 2}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1}};
  const qconv_weight weight = {data, {0}, &scale, 0, NULL, 0, NULL};
  uint8_t result[4] = {0};
  int8_t weight_back[4] = {0};
  const qconv_unpacked unpacked = {weight_back, NULL, NULL, NULL};
  int64_t output_size[3];
  const qconv_input input = {activation, QCONV_UINT8, 1, {1, 1, 2}, 1.0, 10};
  const qconv_output output = {result, QCONV_UINT8, 1.0, 100};
  qconv_packed* packed = NULL;
  size_t size = 0;
  CHECK(qconv_packed_size(&conv, &weight, &size, message, sizeof message) == QCONV_OK);
  CHECK(qconv_pack(&conv, &weight, buffer, size, message, sizeof message) == QCONV_OK);
  CHECK(qconv_open(buffer, size, 1, &packed, message, sizeof message) == QCONV_OK);
  CHECK(qconv_output_size(packed, input.size, output_size, message, sizeof message) == QCONV_OK);
  CHECK(output_size[0] == 1 && output_size[1] == 1 && output_size[2] == 4);
  CHECK(qconv_run(packed, &input, NULL, &output, NULL, message, sizeof message) == QCONV_OK);
  CHECK(memcmp(result, expected, sizeof expected) == 0);
  qconv_unpack(packed, &unpacked);
  CHECK(memcmp(weight_back, data, sizeof data) == 0);
  CHECK(
      qconv_output_size(packed, empty, output_size, message, sizeof message) ==
      QCONV_INVALID_ARGUMENT);
  CHECK(strstr(message, "input size of width must give an output of at least 1, got 0") != NULL);
  qconv_close(packed);
}

/* The same reals, with an addend of 10 and a function, as int8 and float32. */
static void run_with_epilogue(const qconv_packed* packed) {
  const int8_t activation[4] = {-9, -8, -7, -14};
  const uint8_t addend[6] = {30, 30, 30, 30, 30, 30};
  int8_t integers[6] = {0};
  float floats[6] = {0};
  const qconv_input input = {activation, QCONV_INT8, 1, {1, 1, 2}, 1.0, -10};
  qconv_epilogue epilogue = {QCONV_LEAKY_RELU, 0, 0, 0.5, {addend, QCONV_UINT8, 0.5, 10}};
  qconv_output output = {integers, QCONV_INT8, 1.0, -3};
  /* 2, 17, 44, -4, -11, -22, plus 10; half of what is negative */
  const int8_t expected_integers[6] = {9, 24, 51, 3, -3, -9}; /* -0.5 is rounded to 0 */
  const float expected_floats[6] = {12, 27, 54, 6, -0.5F, -6};
  CHECK(qconv_run(packed, &input, &epilogue, &output, NULL, message, sizeof message) == QCONV_OK);
  CHECK(memcmp(integers, expected_integers, sizeof integers) == 0);
  output.data = floats;
  output.type = QCONV_FLOAT32;
  CHECK(qconv_run(packed, &input, &epilogue, &output, NULL, message, sizeof message) == QCONV_OK);
  CHECK(memcmp(floats, expected_floats, sizeof floats) == 0);

  epilogue.function = QCONV_HARDTANH;
  epilogue.lower = 1;
  CHECK(
      qconv_run(packed, &input, &epilogue, &output, NULL, message, sizeof message) ==
      QCONV_INVALID_ARGUMENT);
  CHECK(strstr(message, "epilogue->lower must be at most epilogue->upper, got 1.0") != NULL);
  output.type = QCONV_INT8;
  output.zero_point = 128;
  CHECK(
      qconv_run(packed, &input, NULL, &output, NULL, message, sizeof message) ==
      QCONV_INVALID_ARGUMENT);
  CHECK(strcmp(message, "output->zero_point must be from -128 to 127, got 128") == 0);
  output.zero_point = 0;
  output.scale = 0;
  CHECK(
      qconv_run(packed, &input, NULL, &output, NULL, message, sizeof message) ==
      QCONV_INVALID_ARGUMENT);
  CHECK(strstr(message, "output->scale must be positive, finite and normal, got 0") != NULL);
}

int main(void) {
  const int8_t data[kWeights] = {1, 2, 3, 4, 5, 6};
  const double scales[kOut] = {1, 2, 3};
  const int32_t zero_point = 1;
  const float bias[kOut] = {0, 1, 2};
  qconv_convolution conv = {2,         0,         kIn,       kOut,      1,
                            {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1}};
  const qconv_weight weight = {data, {0}, scales, 1, &zero_point, 0, bias};
  size_t size = 0;
  qconv_packed* packed = NULL;
  qconv_description description;
  int8_t weight_back[kWeights];
  double scales_back[kOut];
  int32_t zero_point_back = 0;
  float bias_back[kOut];
  const qconv_unpacked unpacked = {weight_back, scales_back, &zero_point_back, bias_back};

  CHECK(qconv_packed_size(&conv, &weight, &size, message, sizeof message) == QCONV_OK);
  CHECK(size <= sizeof buffer);
  CHECK(qconv_pack(&conv, &weight, buffer, size, message, sizeof message) == QCONV_OK);
  CHECK(qconv_validate(buffer, size, message, sizeof message) == QCONV_OK);
  CHECK(qconv_open(buffer, size, 0, &packed, message, sizeof message) == QCONV_OK);
  qconv_describe(packed, &description);
  CHECK(memcmp(&description.conv, &conv, sizeof conv) == 0);
  CHECK(description.scales_per_channel == 1 && description.zero_points_per_channel == 0);
  CHECK(description.has_zero_points == 1 && description.has_bias == 1);
  qconv_unpack(packed, &unpacked);
  CHECK(memcmp(weight_back, data, sizeof data) == 0);
  CHECK(memcmp(scales_back, scales, sizeof scales) == 0);
  CHECK(zero_point_back == 1);
  CHECK(memcmp(bias_back, bias, sizeof bias) == 0);
  run(packed);
  run_with_epilogue(packed);
  qconv_close(packed);
  run_transposed();
  CHECK(qconv_release_scratch() > 0);
  CHECK(qconv_release_scratch() == 0);
  CHECK(qconv_pack(&conv, &weight, buffer, size, message, sizeof message) == QCONV_OK);
  qconv_close(NULL);

  CHECK(qconv_instruction_set(message, sizeof message) != NULL);
  CHECK(qconv_pack(&conv, &weight, buffer, size - 64, NULL, 0) == QCONV_INVALID_ARGUMENT);
  CHECK(qconv_packed_size(NULL, &weight, &size, message, 8) == QCONV_INVALID_ARGUMENT);
  CHECK(strcmp(message, "conv mu") == 0);
  conv.groups = 0;
  CHECK(
      qconv_packed_size(&conv, &weight, &size, message, sizeof message) == QCONV_INVALID_ARGUMENT);
  CHECK(strstr(message, "groups must be from 1 to 2147483647, got 0") != NULL);
  buffer[256] ^= 1;
  CHECK(qconv_open(buffer, size, 0, &packed, message, sizeof message) == QCONV_OK);
  qconv_close(packed);
  CHECK(qconv_validate(buffer, size, message, sizeof message) == QCONV_INVALID_ARGUMENT);
  CHECK(strstr(message, "checksum is wrong") != NULL);
  printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
