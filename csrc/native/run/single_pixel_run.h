#pragma once

#include <string>

#include "native/run/conv_run.h"

namespace qconv::native {

// Transposed convolutions of images of a single pixel, as generators of images begin with: every
// output has at most one tap, all others read padding. So each tap is run as a 1x1 convolution on
// the pixels of all images, which takes a small part of the work that phases would.
//
// An output lacks what the taps in the padding add, so that the phase's column sums don't serve to
// take off the input's zero point. Instead a pixel of zero points is convolved as well.
bool can_run_single_pixel(const ConvRun& run);

void run_single_pixel(const ConvRun& run);

std::string describe_single_pixel(const ConvRun& run);

}  // namespace qconv::native
