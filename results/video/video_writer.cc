// SPDX-License-Identifier: Apache-2.0
#include "results/video/video_writer.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <utility>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

namespace kvla {
namespace {

constexpr char kEncoder[] = "libvpx-vp9";
constexpr int kBufferBytes = 1 << 16;
constexpr int kTicks = 1000;  // of the time base, a second

Status AvError(const char* what, int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return InternalError(fmt::format("video: {}: {}", what, text));
}

// A file in memory; the MP4 muxer goes back to fill in sizes.
struct MemoryFile {
  std::string bytes;
  size_t at = 0;
};

#if LIBAVFORMAT_VERSION_MAJOR >= 61
using WriteBytes = const uint8_t*;
#else
using WriteBytes = uint8_t*;
#endif

int WriteTo(void* opaque, WriteBytes data, int size) {
  auto* file = static_cast<MemoryFile*>(opaque);
  const size_t end = file->at + static_cast<size_t>(size);
  if (end > file->bytes.size()) file->bytes.resize(end);
  std::memcpy(file->bytes.data() + file->at, data, static_cast<size_t>(size));
  file->at = end;
  return size;
}

int64_t SeekIn(void* opaque, int64_t offset, int whence) {
  auto* file = static_cast<MemoryFile*>(opaque);
  const auto size = static_cast<int64_t>(file->bytes.size());
  if (whence == AVSEEK_SIZE) return size;
  const int64_t from = whence == SEEK_SET   ? 0
                       : whence == SEEK_CUR ? static_cast<int64_t>(file->at)
                                            : size;
  if (from + offset < 0) return AVERROR(EINVAL);
  file->at = static_cast<size_t>(from + offset);
  return from + offset;
}

}  // namespace

struct VideoWriter::Av {
  MemoryFile file;
  AVFormatContext* format = nullptr;
  AVIOContext* io = nullptr;
  AVCodecContext* encoder = nullptr;
  AVStream* stream = nullptr;
  AVFrame* frame = nullptr;
  AVPacket* packet = nullptr;
  SwsContext* scale = nullptr;
  double ticks_per_frame = 0;
  int64_t frames = 0;
  bool header = false;

  ~Av() {
    sws_freeContext(scale);
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&encoder);
    avformat_free_context(format);
    if (io != nullptr) av_freep(&io->buffer);
    avio_context_free(&io);
  }

  Status Open(int width, int height, double frames_per_s, const std::string& title) {
    av_log_set_level(AV_LOG_ERROR);  // libvpx says its version otherwise
    const AVCodec* codec = avcodec_find_encoder_by_name(kEncoder);
    if (codec == nullptr) {
      return InternalError(fmt::format(
          "video: this machine's libavcodec has no encoder {}; set 'videos: none'", kEncoder));
    }
    int code = avformat_alloc_output_context2(&format, nullptr, "mp4", nullptr);
    if (code < 0) return AvError("MP4", code);
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
    io = avio_alloc_context(buffer, kBufferBytes, 1, &file, nullptr, WriteTo, SeekIn);
    encoder = avcodec_alloc_context3(codec);
    stream = avformat_new_stream(format, nullptr);
    frame = av_frame_alloc();
    packet = av_packet_alloc();
    scale = sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV420P,
                           SWS_BILINEAR, nullptr, nullptr, nullptr);
    if (io == nullptr || encoder == nullptr || stream == nullptr || frame == nullptr ||
        packet == nullptr || scale == nullptr) {
      return InternalError("video: libav could not allocate");
    }
    format->pb = io;
    format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;  // no dates, no versions
    av_dict_set(&format->metadata, "title", title.c_str(), 0);
    ticks_per_frame = kTicks / frames_per_s;
    encoder->width = width;
    encoder->height = height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->time_base = {1, kTicks};
    encoder->framerate = av_d2q(frames_per_s, 1000);
    encoder->gop_size = 60;
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    // Constant quality, as fast as it goes.
    av_opt_set(encoder->priv_data, "deadline", "realtime", 0);
    av_opt_set_int(encoder->priv_data, "cpu-used", 7, 0);
    av_opt_set_int(encoder->priv_data, "crf", 30, 0);
    code = avcodec_open2(encoder, codec, nullptr);
    if (code < 0) return AvError(kEncoder, code);
    stream->time_base = encoder->time_base;
    stream->avg_frame_rate = encoder->framerate;
    code = avcodec_parameters_from_context(stream->codecpar, encoder);
    if (code < 0) return AvError(kEncoder, code);
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = width;
    frame->height = height;
    code = av_frame_get_buffer(frame, 0);
    if (code < 0) return AvError("frame", code);
    code = avformat_write_header(format, nullptr);
    if (code < 0) return AvError("MP4 header", code);
    header = true;
    return {};
  }

  // Sends a frame, or with none the end of all, and writes what comes out.
  Status Encode(const AVFrame* what) {
    int code = avcodec_send_frame(encoder, what);
    if (code < 0) return AvError(kEncoder, code);
    while (true) {
      code = avcodec_receive_packet(encoder, packet);
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return {};
      if (code < 0) return AvError(kEncoder, code);
      packet->stream_index = stream->index;
      packet->duration = static_cast<int64_t>(ticks_per_frame);
      av_packet_rescale_ts(packet, encoder->time_base, stream->time_base);
      code = av_interleaved_write_frame(format, packet);
      if (code < 0) return AvError("MP4", code);
    }
  }
};

VideoWriter::VideoWriter(std::unique_ptr<Av> av) : av_(std::move(av)) {}
VideoWriter::~VideoWriter() = default;

Result<std::unique_ptr<VideoWriter>> VideoWriter::Create(int width, int height, double frames_per_s,
                                                         const std::string& title) {
  if (width <= 0 || height <= 0 || width % 2 != 0 || height % 2 != 0) {
    return BadInput(fmt::format("video: {}x{}: both must be even", width, height));
  }
  auto av = std::make_unique<Av>();
  if (Status status = av->Open(width, height, frames_per_s, title); !status.ok()) return status;
  return std::unique_ptr<VideoWriter>(new VideoWriter(std::move(av)));
}

Status VideoWriter::Add(std::span<const uint8_t> rgb) {
  if (!av_->header) return InternalError("video: a frame after the end");
  AVFrame* frame = av_->frame;
  const auto row = static_cast<size_t>(3 * frame->width);
  if (rgb.size() != row * static_cast<size_t>(frame->height)) {
    return InternalError(fmt::format("video: a frame of {} bytes, {} expected", rgb.size(),
                                     row * static_cast<size_t>(frame->height)));
  }
  if (const int code = av_frame_make_writable(frame); code < 0) return AvError("frame", code);
  const uint8_t* const planes[] = {rgb.data()};
  const int strides[] = {3 * frame->width};
  sws_scale(av_->scale, planes, strides, 0, frame->height, frame->data, frame->linesize);
  frame->pts = static_cast<int64_t>(static_cast<double>(av_->frames++) * av_->ticks_per_frame);
  return av_->Encode(frame);
}

Result<std::string> VideoWriter::Finish() {
  if (!av_->header) return InternalError("video: ended twice");
  if (av_->frames == 0) return InternalError("video: no frames");
  if (Status status = av_->Encode(nullptr); !status.ok()) return status;
  av_->header = false;
  if (const int code = av_write_trailer(av_->format); code < 0) return AvError("MP4 end", code);
  avio_flush(av_->io);
  return std::move(av_->file.bytes);
}

}  // namespace kvla
