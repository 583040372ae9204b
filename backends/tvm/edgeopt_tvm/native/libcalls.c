/* What LLVM calls from kernels on 32-bit ARM by names that zig's library has not: it has those of the ARM ABI alone. */
#ifdef __arm__
#include <stdint.h>

float __floatdisf(int64_t value) { return (float)value; }
float __floatundisf(uint64_t value) { return (float)value; }
double __floatdidf(int64_t value) { return (double)value; }
double __floatundidf(uint64_t value) { return (double)value; }
int64_t __fixsfdi(float value) { return (int64_t)value; }
uint64_t __fixunssfdi(float value) { return (uint64_t)value; }
int64_t __fixdfdi(double value) { return (int64_t)value; }
uint64_t __fixunsdfdi(double value) { return (uint64_t)value; }
#else
typedef int edgeopt_no_libcalls; /* C wants something in each file. */
#endif
