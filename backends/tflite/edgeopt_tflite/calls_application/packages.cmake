
# LiteRT's wheel brings the library; on Android it is in the archive com.google.ai.edge.litert:litert.
find_library(LITERT_LIBRARY LiteRt HINTS $${LITERT_DIR} REQUIRED)
get_filename_component(LITERT_FOLDER $${LITERT_LIBRARY} DIRECTORY)
set(CMAKE_BUILD_RPATH $${LITERT_FOLDER})
