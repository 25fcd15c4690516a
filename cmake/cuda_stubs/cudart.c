// SPDX-License-Identifier: Apache-2.0
// Answers "no device" to what LibTorch's profiler asks of the CUDA runtime in a CPU build.
enum { kNoDevice = 100 };

const char* cudaGetErrorString(int error) {
  (void)error;
  return "no CUDA device: this is a CPU build";
}

int cudaGetDeviceCount(int* count) {
  if (count) *count = 0;
  return kNoDevice;
}

int cudaDriverGetVersion(int* version) {
  if (version) *version = 0;
  return kNoDevice;
}

int cudaRuntimeGetVersion(int* version) {
  if (version) *version = 0;
  return kNoDevice;
}

int cudaGetDeviceProperties(void* properties, int device) {
  (void)properties;
  (void)device;
  return kNoDevice;
}

int cudaDeviceSynchronize(void) { return kNoDevice; }
