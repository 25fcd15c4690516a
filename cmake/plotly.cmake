# SPDX-License-Identifier: Apache-2.0
# plotly.js, from the wheel plotly==7.1.0 that scripts/setup.sh unpacks: one file, which
# `kvla report --html` copies beside the page.
set(KVLA_PLOTLY_JS "${KVLA_DEPS_DIR}/plotly-7.1.0/plotly/package_data/plotly.min.js")
kvla_require_unpacked("${KVLA_PLOTLY_JS}")
