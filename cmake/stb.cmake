# SPDX-License-Identifier: Apache-2.0
# stb (system package libstb-dev), header-only: #include <stb/stb_image_write.h>.
find_path(KVLA_STB_INCLUDE_DIR stb/stb_image_write.h REQUIRED)
