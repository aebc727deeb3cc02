//! Median, mean, 95 % confidence interval, coefficient of variation, slopes.
