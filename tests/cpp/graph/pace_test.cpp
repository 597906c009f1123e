#include "graph/pace.h"
#include <gtest/gtest.h>

namespace miniten {
namespace {

// Runs of a session that takes these times shared out and alone. -> how many were shared out
int together(Pace& pace, int runs, double shared, double alone, bool helped = true) {
  int count = 0;
  for (int i = 0; i < runs; ++i) {
    count += pace.together();
    if (pace.is_trial()) pace.ran(pace.together() ? shared : alone, helped);
    else pace.ran();
  }
  return count;
}

TEST(Pace, TakesWhatIsFasterAndTriesAgain) {
  Pace pace;
  EXPECT_GT(together(pace, 20000, 14e-6, 22e-6), 19900);
  EXPECT_LT(together(pace, 20000, 33e-6, 22e-6), 3000);              // noticed at the next trial
  EXPECT_LT(together(pace, 20000, 33e-6, 22e-6), 200);
  EXPECT_GT(together(pace, 20000, 14e-6, 22e-6), 17000);
  EXPECT_GT(together(pace, 20000, 14e-6, 22e-6), 19900);
  Pace longer;
  EXPECT_LT(together(longer, 1000, 1.3e-3, 1.1e-3), 150);
  EXPECT_GT(together(longer, 10000, 1.2e-3, 2.3e-3), 9700);
}

TEST(Pace, TrialsCountRunsThatWereHelpedAndTakeTheBest) {
  Pace pace;
  for (int i = 0; i < 60; ++i) pace.ran(24e-6, false);               // threads wake up late
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(pace.together());
    pace.ran(i == 5 ? 10e-6 : 80e-6, true);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(pace.together());
    pace.ran(i == 1 ? 11e-6 : 80e-6, false);
  }
  EXPECT_TRUE(pace.together());
  EXPECT_FALSE(pace.is_trial());
}

TEST(Pace, WhereNobodyHelpsShortRunsStayAlone) {
  Pace pace;
  EXPECT_LT(together(pace, 20000, 24e-6, 22e-6, false), 5000);
  Pace longer;
  EXPECT_GT(together(longer, 1000, 5.1e-3, 5e-3, false), 980);
}

TEST(Pace, WhatIsLongIsAlwaysShared) {
  Pace pace;
  EXPECT_EQ(together(pace, 5000, 5e-3, 3e-3), 5000);
}

}  // namespace
}  // namespace miniten
