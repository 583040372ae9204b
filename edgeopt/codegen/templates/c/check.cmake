add_executable(check src/check.c)
target_link_libraries(check PRIVATE application)
set_target_properties(check PROPERTIES LINKER_LANGUAGE $linker)

enable_testing()
add_test(NAME golden COMMAND check $${CMAKE_SOURCE_DIR}/model $${CMAKE_SOURCE_DIR})
