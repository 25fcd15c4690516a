// SPDX-License-Identifier: Apache-2.0
// Answers "not initialised" to every call that LibTorch's profiler makes of CUPTI in a CPU build.
enum { kNotInitialised = 15 };

int cuptiGetResultString(int result, const char** text) {
  (void)result;
  if (text) *text = "no CUPTI: this is a CPU build";
  return kNotInitialised;
}

#define KVLA_FAIL(name) \
  int name(void) { return kNotInitialised; }
KVLA_FAIL(cuptiActivityDisable)
KVLA_FAIL(cuptiActivityEnable)
KVLA_FAIL(cuptiActivityEnableCudaEventDeviceTimestamps)
KVLA_FAIL(cuptiActivityEnableDriverApi)
KVLA_FAIL(cuptiActivityEnableRuntimeApi)
KVLA_FAIL(cuptiActivityFlushAll)
KVLA_FAIL(cuptiActivityGetNextRecord)
KVLA_FAIL(cuptiActivityGetNumDroppedRecords)
KVLA_FAIL(cuptiActivityPopExternalCorrelationId)
KVLA_FAIL(cuptiActivityPushExternalCorrelationId)
KVLA_FAIL(cuptiActivityRegisterCallbacks)
KVLA_FAIL(cuptiActivityRegisterTimestampCallback)
KVLA_FAIL(cuptiActivitySetAttribute)
KVLA_FAIL(cuptiEnableCallback)
KVLA_FAIL(cuptiEnableDomain)
KVLA_FAIL(cuptiFinalize)
KVLA_FAIL(cuptiGetVersion)
KVLA_FAIL(cuptiSubscribe)
KVLA_FAIL(cuptiUnsubscribe)
