/* The part of LiteRT's C interface that is used here, as libLiteRt.so of its wheels and Android archives has it. */
#ifndef LITERT_C_H
#define LITERT_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *LiteRtHandle;
enum { LITERT_CPU = 1, LITERT_READ = 0, LITERT_WRITE = 1 };

typedef struct {
  uint32_t rank;
  int32_t dimensions[8];
  uint32_t strides[8];
} LiteRtLayoutPart;
typedef struct {
  int element;
  LiteRtLayoutPart layout;
} LiteRtTensorType;

int LiteRtCreateEnvironment(int count, const void *options, LiteRtHandle *environment);
int LiteRtCreateModelFromFile(LiteRtHandle environment, const char *path, LiteRtHandle *model);
int LiteRtCreateOptions(LiteRtHandle *options);
int LiteRtSetOptionsHardwareAccelerators(LiteRtHandle options, int accelerators);
int LiteRtCreateOpaqueOptions(const char *name, void *payload, void (*free)(void *), LiteRtHandle *opaque);
int LiteRtAddOpaqueOptions(LiteRtHandle options, LiteRtHandle opaque);
int LiteRtCreateCompiledModel(LiteRtHandle environment, LiteRtHandle model, LiteRtHandle options,
                              LiteRtHandle *compiled);
int LiteRtGetCompiledModelInputBufferRequirements(LiteRtHandle compiled, size_t signature, size_t index,
                                                  LiteRtHandle *requirements);
int LiteRtGetCompiledModelOutputBufferRequirements(LiteRtHandle compiled, size_t signature, size_t index,
                                                   LiteRtHandle *requirements);
int LiteRtCreateManagedTensorBufferFromRequirements(LiteRtHandle environment, const LiteRtTensorType *type,
                                                    LiteRtHandle requirements, LiteRtHandle *buffer);
int LiteRtLockTensorBuffer(LiteRtHandle buffer, void **memory, int mode);
int LiteRtUnlockTensorBuffer(LiteRtHandle buffer);
int LiteRtRunCompiledModel(LiteRtHandle compiled, size_t signature, size_t inputs, LiteRtHandle *input_buffers,
                           size_t outputs, LiteRtHandle *output_buffers);
void LiteRtDestroyTensorBuffer(LiteRtHandle buffer);
void LiteRtDestroyCompiledModel(LiteRtHandle compiled);
void LiteRtDestroyOptions(LiteRtHandle options);
void LiteRtDestroyModel(LiteRtHandle model);
void LiteRtDestroyEnvironment(LiteRtHandle environment);

#ifdef __cplusplus
}
#endif
#endif
