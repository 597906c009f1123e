#include "interchange/native/zip.h"
#include <minizip/unzip.h>
#include <minizip/zip.h>
#include <zlib.h>
#include <cstring>
#include "base/allocate.h"

namespace miniten {

namespace {
constexpr unsigned char alignment = 64;

// minizip's file functions over memory.
struct Memory {
  std::span<const std::byte> in;
  std::vector<std::byte> out;
  bool writing = false;
  uint64_t at = 0;
  uint64_t size() const { return writing ? out.size() : in.size(); }
};
voidpf open_memory(voidpf opaque, const void*, int) { static_cast<Memory*>(opaque)->at = 0; return opaque; }
uLong read_memory(voidpf, voidpf stream, void* to, uLong n) {
  auto& m = *static_cast<Memory*>(stream);
  uint64_t left = m.at < m.size() ? m.size() - m.at : 0;
  n = uLong(std::min<uint64_t>(n, left));
  std::memcpy(to, (m.writing ? m.out.data() : m.in.data()) + m.at, n);
  m.at += n;
  return n;
}
uLong write_memory(voidpf, voidpf stream, const void* from, uLong n) {
  auto& m = *static_cast<Memory*>(stream);
  if (m.at + n > m.out.size()) m.out.resize(m.at + n);
  std::memcpy(m.out.data() + m.at, from, n);
  m.at += n;
  return n;
}
ZPOS64_T tell_memory(voidpf, voidpf stream) { return static_cast<Memory*>(stream)->at; }
long seek_memory(voidpf, voidpf stream, ZPOS64_T offset, int origin) {
  auto& m = *static_cast<Memory*>(stream);
  uint64_t base = origin == ZLIB_FILEFUNC_SEEK_CUR ? m.at : origin == ZLIB_FILEFUNC_SEEK_END ? m.size() : 0;
  if (base + offset > (uint64_t{1} << 40)) return -1;
  m.at = base + offset;
  return 0;
}
int close_memory(voidpf, voidpf) { return 0; }
int error_memory(voidpf, voidpf) { return 0; }
zlib_filefunc64_def functions(Memory& m) {
  return {open_memory, read_memory, write_memory, tell_memory, seek_memory, close_memory, error_memory, &m};
}
[[noreturn]] void refuse(std::string got) { throw Error(ErrorKind::value, "npz", "a sound zip archive", std::move(got), "the file may be truncated"); }

}  // namespace

// An archive ends with its directory's end and the comment whose length that tells: one cut by a byte does not.
static bool is_whole(std::span<const std::byte> bytes) {
  constexpr size_t end = 22, longest = 65535;
  for (size_t comment = 0; comment <= longest && end + comment <= bytes.size(); ++comment) {
    const std::byte* at = bytes.data() + bytes.size() - end - comment;
    if (std::memcmp(at, "PK\5\6", 4) == 0 && (size_t(at[20]) | size_t(at[21]) << 8) == comment) return true;
  }
  return false;
}

std::vector<ZipMember> unzip(std::span<const std::byte> bytes, uint64_t total_limit, bool in_place) {
  total_limit = std::min<uint64_t>(total_limit, PTRDIFF_MAX);          // what a vector can hold
  if (!is_whole(bytes)) refuse("bytes that do not end as one");
  Memory m{bytes, {}, false, 0};
  auto f = functions(m);
  unzFile z = unzOpen2_64("", &f);
  if (!z) refuse("bytes that are none");
  struct Close { unzFile z; ~Close() { unzClose(z); } } close{z};
  std::vector<ZipMember> members;
  uint64_t total = 0;
  for (int r = unzGoToFirstFile(z); r != UNZ_END_OF_LIST_OF_FILE; r = unzGoToNextFile(z)) {
    unz_file_info64 info;
    char name[512];
    if (r != UNZ_OK || unzGetCurrentFileInfo64(z, &info, name, sizeof name, nullptr, 0, nullptr, 0) != UNZ_OK || info.size_filename >= sizeof name)
      refuse("a damaged directory");
    // deflate cannot do better than about 1032 to 1
    if (info.uncompressed_size > total_limit - total || info.uncompressed_size / 1100 > bytes.size() || members.size() > 100000)
      refuse("member \"" + std::string(name) + "\" of " + std::to_string(info.uncompressed_size) + " bytes");
    total += info.uncompressed_size;
    ZipMember member{name, {}};
    if (unzOpenCurrentFile(z) != UNZ_OK) refuse("member \"" + member.name + "\" that cannot be opened");
    if (ZPOS64_T at = unzGetCurrentFileZStreamPos64(z); in_place && info.compression_method == 0 && info.compressed_size == info.uncompressed_size && info.uncompressed_size) {
      if (at > bytes.size() || info.uncompressed_size > bytes.size() - at) refuse("member \"" + member.name + "\" that ends early");
      member.stored = bytes.subspan(size_t(at), size_t(info.uncompressed_size));
      if (crc32_of(member.stored) != info.crc) refuse("member \"" + member.name + "\" with a wrong checksum");
      unzCloseCurrentFile(z);
      members.push_back(std::move(member));
      continue;
    }
    member.bytes.resize(size_t(info.uncompressed_size));
    size_t at = 0;
    while (at < member.bytes.size()) {
      int n = unzReadCurrentFile(z, member.bytes.data() + at, unsigned(std::min<size_t>(member.bytes.size() - at, 1 << 26)));
      if (n <= 0) refuse("member \"" + member.name + "\" that ends early");
      at += size_t(n);
    }
    char past;
    if (unzReadCurrentFile(z, &past, 1) != 0 || unzCloseCurrentFile(z) != UNZ_OK) refuse("member \"" + member.name + "\" with a wrong checksum");
    members.push_back(std::move(member));
  }
  return members;
}

size_t deflated_size(std::span<const std::byte> bytes) {
  uLongf size = compressBound(uLong(bytes.size()));
  std::vector<Bytef> to(size);
  return compress2(to.data(), &size, reinterpret_cast<const Bytef*>(bytes.data()), uLong(bytes.size()), Z_BEST_COMPRESSION) == Z_OK ? size : bytes.size();
}

std::vector<std::byte> zip(const std::vector<ZipMember>& members) {
  Memory m{{}, {}, true, 0};
  auto f = functions(m);
  zipFile z = zipOpen2_64("", APPEND_STATUS_CREATE, nullptr, &f);
  bool ok = z != nullptr;
  for (const ZipMember& member : members) {
    zip_fileinfo info{};
    info.tmz_date = {0, 0, 0, 1, 0, 1980};
    int wide = member.bytes.size() > 0xfffffff0u;
    if (member.executable) info.external_fa = 0100755ul << 16;
    // What a reader skips, as in Android's aligned archives: an id, a length, the alignment and zeros.
    unsigned char padding[6 + 63] = {0x35, 0xd9, 0, 0, alignment};
    unsigned padded = 0;
    if (!member.deflated && member.bytes.size() >= least_in_place && member.name.ends_with(".npy")) {
      const size_t header = 30 + member.name.size() + (wide ? 20 : 0) + 6;
      padded = 6 + unsigned(aligned(m.out.size() + header, alignment) - m.out.size() - header);
      padding[2] = uint8_t(padded - 4);
    }
    ok = ok && zipOpenNewFileInZip4_64(z, member.name.c_str(), &info, padded ? padding : nullptr, padded, nullptr, 0, nullptr, member.deflated ? Z_DEFLATED : 0, member.deflated ? Z_BEST_COMPRESSION : 0,
                                       0, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, nullptr, 0, member.executable ? 3 << 8 : 0, 0, wide) == ZIP_OK;   // 3: attributes are Unix's
    for (size_t at = 0; ok && at < member.bytes.size(); at += 1 << 26)
      ok = zipWriteInFileInZip(z, member.bytes.data() + at, unsigned(std::min<size_t>(member.bytes.size() - at, 1 << 26))) == ZIP_OK;
    ok = ok && zipCloseFileInZip(z) == ZIP_OK;
  }
  if (z) ok = zipClose(z, nullptr) == ZIP_OK && ok;
  if (!ok) throw Error(ErrorKind::io, "npz", "an archive", "an error of the zip library");
  return std::move(m.out);
}

}  // namespace miniten
