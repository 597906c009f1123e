#pragma once

namespace miniten {

// What a build for inference alone leaves out where no model asks for it (cmake/inference.cmake).
#ifdef MINITEN_WITHOUT_INT16
inline constexpr bool has_int16 = false;
#else
inline constexpr bool has_int16 = true;
#endif
#ifdef MINITEN_WITHOUT_PACKED
inline constexpr bool has_packed = false;  // weights with masks or codebooks, or narrowed to bfloat16
#else
inline constexpr bool has_packed = true;
#endif
#ifdef MINITEN_INFERENCE
inline constexpr bool has_in_place = false;  // what saves time or memory of large models and costs code: arrays that stay where their file was read to, fast checksums, blocks that wait for the next tensor
#else
inline constexpr bool has_in_place = true;
#endif

}  // namespace miniten
