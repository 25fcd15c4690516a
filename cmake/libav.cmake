# SPDX-License-Identifier: Apache-2.0
# FFmpeg's libraries for videos (system packages libavcodec-dev libavformat-dev libswscale-dev).
pkg_check_modules(libav REQUIRED IMPORTED_TARGET libavformat libavcodec libswscale libavutil)
