# embed(FILE): a file of the source tree as generated/embedded/<name>.inc, a list of numbers for an array: what gzip makes of it
# (base/embedded.h reads it).
function(embed file)
  cmake_path(GET file FILENAME name)
  set(packed ${CMAKE_CURRENT_BINARY_DIR}/generated/embedded/${name}.gz)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/generated/embedded)
  file(ARCHIVE_CREATE OUTPUT ${packed} PATHS ${CMAKE_CURRENT_SOURCE_DIR}/${file} FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(READ ${packed} bytes HEX)
  string(SUBSTRING "${bytes}" 0 8 head)
  string(SUBSTRING "${bytes}" 16 -1 rest)
  set(bytes "${head}00000000${rest}")  # no time: the same file gives the same bytes
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/embedded/${name}.inc CONTENT "${bytes}\n" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
endfunction()
