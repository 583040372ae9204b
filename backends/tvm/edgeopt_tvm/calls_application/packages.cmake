
# The library has no name of its own: it is found beside the application by the path that is written here.
add_library(edgeopt_model INTERFACE)
target_link_options(edgeopt_model INTERFACE -L$${CMAKE_SOURCE_DIR}/model)
target_link_libraries(edgeopt_model INTERFACE -l:$entry)
set(CMAKE_BUILD_RPATH $${CMAKE_SOURCE_DIR}/model)
