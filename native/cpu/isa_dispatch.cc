#include "cpu/isa_dispatch.h"

#include "backend/error.h"

namespace octoformer {

const KernelTable& kernel_table(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return kernels_scalar;
#if defined(__x86_64__) || defined(_M_X64)
    case Isa::avx2:
      return kernels_avx2;
    case Isa::avx_vnni:
      return kernels_avx_vnni;
    case Isa::avx512:
      return kernels_avx512;
    case Isa::avx512_bf16:
      return kernels_avx512_bf16;
    case Isa::amx:
      return kernels_amx;
#elif defined(__aarch64__) || defined(_M_ARM64)
    case Isa::neon:
      return kernels_neon;
    case Isa::neon_dotprod:
      return kernels_neon_dotprod;
    case Isa::neon_bf16:
      return kernels_neon_bf16;
#endif
    default:
      fail(ErrorCode::internal, "this build has no kernels for the instruction set ", isa_name(isa));
  }
}

}  // namespace octoformer
