// SPDX-License-Identifier: Apache-2.0
// What `kvla certify` measures of a task at a delay, and the file in which certificates are kept.
#ifndef KVLA_HARNESS_CERTIFY_CERTIFICATE_H_
#define KVLA_HARNESS_CERTIFY_CERTIFICATE_H_

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/writer_lock.h"
#include "harness/certify/decision_probe.h"
#include "harness/certify/expert_trials.h"
#include "harness/certify/rule_check.h"
#include "harness/certify/verdict.h"
#include "results/statistics/statistics.h"
#include "tasks/task_options.h"

namespace kvla {

struct CertifySettings {
  TaskOptions suite;  // that the tasks are made with
  CertifyOptions episodes;
  // Their seed and threads are those of `episodes`.
  std::optional<ProbeOptions> probe;
  std::optional<RuleOptions> rules;
};

// One of the claims that a certificate makes.
struct CertificatePart {
  std::string name;  // "expert", "cue withheld", "probe", "probe_window", or a rule's
  Judgement judgement;
};

struct Certificate {
  std::string task, delay;
  TaskOptions suite;  // of the task
  bool needs_memory = true;
  double chance = 0;
  CertifyResult episodes;
  std::optional<ProbeResult> probe;
  std::optional<RuleCheck> rules;

  // Rates with 95% intervals.
  Interval Expert() const;
  Interval Blind() const;        // of the blind decisions
  Interval Probe() const;        // REQUIRES: probe
  Interval ProbeWindow() const;  // REQUIRES: probe
  // The expert reaches 95% without an episode that diverged; the blind expert, the probes and the
  // rules have their upper bounds below chance, or what a rule's bytes explain, + kAboveChance.
  std::vector<CertificatePart> Parts() const;
  Judgement Whole() const;  // the worst part
  bool Passes() const { return Whole().verdict == Verdict::kCertified; }
  // One line for people.
  std::string Line() const;
};

// `progress(what, done, total)` returns false to cancel.
Result<Certificate> MakeCertificate(
    const Task& task, const std::string& delay, const CertifySettings& settings,
    const std::function<bool(const std::string&, int, int)>& progress);

// Certificates as JSON {tasks: [...], disturbance, suite, settings, commit}, on disk after each.
class CertificateFile {
 public:
  // Takes over what is there. `path` empty: nothing is read or written. No other process can open
  // the file until this is destroyed. BadInput where the file is not one of certificates, was made
  // with other settings or by another build, or is open in another process.
  static Result<CertificateFile> Open(const std::filesystem::path& path,
                                      const CertifySettings& settings);

  bool Has(const std::string& task, const std::string& delay) const;
  size_t size() const { return rows_.size(); }
  Status Add(const Certificate& certificate);
  bool AllPassed() const { return all_passed_; }
  // The whole file, in the order in which certificates were added.
  std::string Text() const;

 private:
  std::filesystem::path path_;
  std::optional<WriterLock> lock_;  // where there is a path
  std::string settings_;            // JSON
  std::vector<std::string> rows_;   // JSON
  std::set<std::pair<std::string, std::string>> cells_;
  bool all_passed_ = true;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_CERTIFICATE_H_
