#include "base/pages.h"
#include <gtest/gtest.h>
#include <algorithm>
#include <cstring>
#include "miniten/base/error.h"
#include "miniten/base/file.h"
#include "miniten/base/temporary.h"

namespace miniten {
namespace {

TEST(Pages, AreAlignedAndGivenBackWholeOnesAtATime) {
  for (size_t bytes : {size_t{0}, size_t{100}, size_t{5} << 20}) {
    Pages p("test", bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p.data()) % 64, 0u);
    EXPECT_EQ(p.bytes().size(), bytes);
    std::memset(p.data(), 7, bytes + 64);
    std::span<std::byte> middle = bytes ? p.bytes().subspan(1, bytes - 2) : p.bytes();
    Pages::drop(middle);
    auto stands = [](std::byte b) { return b == std::byte{7}; };
    if (bytes) EXPECT_TRUE(stands(p.bytes().front()) && stands(p.bytes().back()));
    if (bytes == 100) EXPECT_TRUE(std::all_of(p.bytes().begin(), p.bytes().end(), stands));
    std::memset(p.data(), 8, bytes + 64);
  }
  EXPECT_THROW(Pages("test", uint64_t{1} << 60), Error);
}

TEST(Pages, ReadFilesAsVectorsDo) {
  TemporaryFolder folder("pages");
  std::string path = folder.file("f");
  std::vector<std::byte> bytes(3'000'001);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i * 31 >> 3);
  write_file(path, bytes);
  auto pages = read_pages(path);
  EXPECT_TRUE(std::ranges::equal(pages->bytes(), bytes));
  EXPECT_EQ(read_file(path), bytes);
  write_file(path, {});
  EXPECT_EQ(read_pages(path)->bytes().size(), 0u);
  EXPECT_THROW(read_pages(folder.file("none")), Error);
  EXPECT_THROW(read_pages(std::filesystem::path(path).parent_path().string()), Error);       // a folder is no file
  write_file(path, bytes);
  EXPECT_THROW(read_pages(path, bytes.size() - 1), Error);
}

}  // namespace
}  // namespace miniten
