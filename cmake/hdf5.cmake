# SPDX-License-Identifier: Apache-2.0
# HDF5's serial C library (system package libhdf5-dev).
pkg_check_modules(hdf5 REQUIRED IMPORTED_TARGET hdf5-serial)
