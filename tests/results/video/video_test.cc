// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "results/video/video_rule.h"
#include "results/video/video_writer.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include "base/files.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr int kSize = 64;

// A grey field with a white square at its top left, darker from frame to frame.
std::vector<uint8_t> Frame(int i) {
  std::vector<uint8_t> rgb(3 * kSize * kSize, static_cast<uint8_t>(120 - i));
  for (int y = 0; y < kSize / 4; ++y) {
    for (int x = 0; x < 3 * kSize / 4; ++x) rgb[static_cast<size_t>(3 * kSize * y + x)] = 255;
  }
  return rgb;
}

std::string Film(int frames) {
  auto video = VideoWriter::Create(kSize, kSize, 10, "a title");
  EXPECT_TRUE(video.ok()) << video.status().message();
  if (!video.ok()) return "";
  for (int i = 0; i < frames; ++i) EXPECT_TRUE((*video)->Add(Frame(i)).ok());
  Result<std::string> bytes = (*video)->Finish();
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  EXPECT_FALSE((*video)->Add(Frame(0)).ok());
  return bytes.ok() ? *bytes : "";
}

struct Decoded {
  std::string codec;
  double seconds = 0;
  std::vector<int> corner, centre;  // luma of each frame
};

Decoded Decode(const std::filesystem::path& path) {
  Decoded out;
  AVFormatContext* format = nullptr;
  EXPECT_EQ(avformat_open_input(&format, path.c_str(), nullptr, nullptr), 0);
  if (format == nullptr) return out;
  EXPECT_GE(avformat_find_stream_info(format, nullptr), 0);
  const AVCodecParameters* parameters = format->streams[0]->codecpar;
  out.codec = avcodec_get_name(parameters->codec_id);
  out.seconds = static_cast<double>(format->duration) / AV_TIME_BASE;
  AVCodecContext* decoder = avcodec_alloc_context3(avcodec_find_decoder(parameters->codec_id));
  avcodec_parameters_to_context(decoder, parameters);
  EXPECT_EQ(avcodec_open2(decoder, nullptr, nullptr), 0);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  bool more = true;
  while (more) {
    more = av_read_frame(format, packet) >= 0;
    avcodec_send_packet(decoder, more ? packet : nullptr);
    av_packet_unref(packet);
    while (avcodec_receive_frame(decoder, frame) >= 0) {
      EXPECT_EQ(frame->width, kSize);
      const int middle = kSize / 2;
      out.corner.push_back(frame->data[0][4 * frame->linesize[0] + 4]);
      out.centre.push_back(frame->data[0][middle * frame->linesize[0] + middle]);
    }
  }
  av_frame_free(&frame);
  av_packet_free(&packet);
  avcodec_free_context(&decoder);
  avformat_close_input(&format);
  return out;
}

TEST(VideoWriter, IsAVideoOfItsFrames) {
  const ScratchDir scratch;
  const std::string bytes = Film(30);
  ASSERT_TRUE(WriteFileAtomic(scratch.path() / "a.mp4", bytes).ok());
  const Decoded video = Decode(scratch.path() / "a.mp4");
  EXPECT_EQ(video.codec, "vp9");
  EXPECT_NEAR(video.seconds, 3.0, 0.01);
  ASSERT_EQ(video.corner.size(), 30u);
  EXPECT_GT(video.corner[0], 220);  // the top row comes first
  EXPECT_NEAR(video.centre[0], 16 + 120 * 219 / 255.0, 8);
  EXPECT_LT(video.centre[29], video.centre[0] - 10);
  EXPECT_EQ(Film(30), bytes);
}

TEST(VideoWriter, RefusesWhatItCannotFilm) {
  EXPECT_EQ(VideoWriter::Create(63, 64, 10, "").status().code(), StatusCode::kBadInput);
  auto video = VideoWriter::Create(kSize, kSize, 10, "");
  ASSERT_TRUE(video.ok());
  EXPECT_FALSE((*video)->Add(std::vector<uint8_t>(5)).ok());
  EXPECT_FALSE((*video)->Finish().ok());  // no frames
}

TEST(VideoRule, IsAFunctionOfTheEpisode) {
  EpisodeEnd won, lost;
  won.success = true;
  EXPECT_FALSE(WantsVideo("none", 5, 0, lost));
  EXPECT_TRUE(WantsVideo("all", 5, 99, won));
  EXPECT_TRUE(WantsVideo("failures", 5, 99, lost));
  EXPECT_FALSE(WantsVideo("failures", 5, 0, won));
  EXPECT_TRUE(WantsVideo("first_n", 5, 4, won));
  EXPECT_FALSE(WantsVideo("first_n", 5, 5, lost));
}

TEST(VideoRule, NamesAreUniqueAndSafe) {
  std::set<std::string> names;
  const std::vector<EpisodeId> ids = {
      {"a", "b-c", "", 1}, {"a-b", "c", "", 1}, {"a", "b", "c", 1},   {"a", "b", "c", 11},
      {"a/b", "c", "", 1}, {"a b", "c", "", 1}, {"1/2", "t", "s", -1}};
  for (const EpisodeId& id : ids) {
    const std::string name = VideoFile(id);
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find('/'), name.rfind('/')) << name;
    EXPECT_EQ(name.find(' '), std::string::npos) << name;
  }
  EXPECT_EQ(VideoFile(ids[0]), VideoFile(ids[0]));
}

// A run of somebody else's may name any file and hold any link.
class VideoPathTest : public testing::Test {
 protected:
  VideoPathTest() {
    fs::create_directories(run_ / kVideoFolder / "deeper");
    for (const char* file :
         {"run/videos/a.mp4", "run/videos/deeper/b.mp4", "run/run.db", "private"}) {
      EXPECT_TRUE(WriteFileAtomic(scratch_ / file, "x").ok());
    }
    fs::create_symlink(scratch_ / "private", run_ / "videos/link.mp4");
    fs::create_symlink("a.mp4", run_ / "videos/inner.mp4");
    fs::create_symlink("loop.mp4", run_ / "videos/loop.mp4");
  }
  bool Allowed(const std::string& name) const { return VideoPath(run_, name).ok(); }

  ScratchDir scratch_;
  const fs::path run_ = scratch_ / "run";
};

TEST_F(VideoPathTest, IsAFileOfTheRunsOwnVideoFolder) {
  EXPECT_EQ(*VideoPath(run_, "videos/a.mp4"), run_ / "videos/a.mp4");
  EXPECT_TRUE(Allowed("videos/inner.mp4"));
  EXPECT_TRUE(Allowed("videos//a.mp4"));
  // The run's folder may itself be a link.
  fs::create_directory_symlink(run_, scratch_ / "other");
  EXPECT_TRUE(VideoPath(scratch_ / "other", "videos/a.mp4").ok());
  for (const std::string& name :
       {std::string("../private"), std::string("videos/../../private"),
        (scratch_ / "private").string(), std::string("videos/link.mp4"),
        std::string("videos/loop.mp4"), std::string("run.db"), std::string("videos/../run.db"),
        std::string("videos"), std::string("videos/deeper"), std::string("videos/deeper/b.mp4"),
        std::string("videos/absent.mp4"), std::string(""), std::string(5000, 'x')}) {
    EXPECT_EQ(VideoPath(run_, name).status().code(), StatusCode::kBadInput) << name.substr(0, 90);
  }
}

TEST_F(VideoPathTest, AVideoFolderThatLeadsOutIsNotTheRunsOwn) {
  fs::rename(run_ / "videos", scratch_ / "elsewhere");
  fs::create_directory_symlink(scratch_ / "elsewhere", run_ / "videos");
  EXPECT_FALSE(Allowed("videos/a.mp4"));
}

}  // namespace
}  // namespace kvla
