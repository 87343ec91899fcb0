//! What people get wrong when they write queries, one a line. `~` before a line: newer servers word it in another way, so that
//! only the refusal is compared.

pub(super) const MISTAKES: &str = r#"
sum(
sum(gauge
sum(gauge))
sum()
sum(gauge, gauge)
sum by job (gauge)
sum by (job gauge
sum by (job) gauge
sum by (job,) (gauge)
sum by (1a) (gauge)
sum (gauge) by
sum without by (gauge)
topk(gauge)
topk(1, 2, gauge)
topk("a", gauge)
topk(gauge, gauge)
count_values(1, gauge)
count_values("a b\xff", gauge)
quantile(gauge)
sum(1)
sum("a")
sum(gauge[5m])
rate(gauge)
rate(gauge[5m)
~rate(gauge[])
rate(gauge[5])
rate(gauge[5x])
rate(gauge[-5m])
rate(gauge[0s])
~rate(gauge[5m] offset)
rate(gauge offset 5m[5m])
rate(sum(gauge)[5m])
rate(gauge[5m:1m:1m])
rate(gauge[5m:-1m])
rate(gauge[5m:0s])
rate()
rate(gauge[5m], 1)
rate(1)
rates(gauge[5m])
Rate(gauge[5m])
SUM(gauge))
histogram_quantile(latency_bucket, 0.9)
histogram_quantile(0.9)
histogram_quantile(0.9, latency_bucket, 1)
label_replace(gauge, "a", "b", "c")
label_replace(gauge, a, "b", "c", "d")
label_replace(gauge, "a", "$1", "job", "(")
label_replace(gauge, "a-\xff", "$1", "job", "(.*)")
label_join(gauge)
label_join(gauge, "a", "-", 1)
clamp(gauge, 1)
round(gauge, 1, 2)
time(1)
scalar(1)
vector(gauge)
absent(1)
gauge{
gauge{job
gauge{job=
gauge{job="a"
gauge{job="a",
gauge{job="a",,}
gauge{,}
gauge{job=a}
gauge{job="a"}}
gauge{job=="a"}
gauge{job=~"("}
gauge{job=~"*"}
gauge{"job"="a","b"}
gauge{"x","y"}
gauge{__name__="x"}
gauge{1="a"}
gauge{job!"a"}
gauge{job>"a"}
gauge{job="a" instance="1"}
gauge{'job"="a"}
gauge{job="a\q"}
{}
{job=""}
{job=~".*"}
{job!="a"}
{job!~".+"}
~gauge offset
~gauge offset job
gauge offset 5
gauge offset 5m offset 5m
gauge @
gauge @ job
gauge @ start
gauge @ start(
gauge @ 1 @ 2
gauge @ Inf
gauge[5m][5m]
gauge[5m] + 1
gauge[5m] == 1
-gauge[5m]
-"a"
"a" + 1
"a" == "b"
1 == 1
1 and 1
gauge and 1
1 or gauge
gauge unless 1
gauge == bool
gauge + bool gauge
gauge + on gauge
gauge + on () group_left gauge
gauge + on (job) group_left
gauge + group_left (job) gauge
gauge + ignoring (job) group_left (job) gauge
gauge + on (job) group_left (job) gauge
gauge and on (job) group_left gauge
gauge and group_left gauge
1 + on (job) gauge
gauge + on (job) 1
gauge bool gauge
gauge gauge
gauge, gauge
gauge;
gauge $ 2
gauge & gauge
gauge && gauge
gauge || gauge
gauge = 1
gauge => 1
gauge =< 1
gauge ! = 1
gauge ! 1
gauge <> 1
gauge ** 2
gauge * * 2
gauge +
+
*gauge
(
)
()
(gauge
gauge)
[5m]
5m[5m]
1[5m]
"a"[5m]
(1)[5m:1m]
"abc
'abc
`abc
"\x"
1.2.3
1..2
0xzz
08
1e
1e400
5mm
5m5
1d2w
1_
_1
1__0
100y1ms9999999999999999999y
#
# comment alone
gauge # comment
sum(gauge) # comment (
gauge{job="a"} # }
a:b:c
:a
a:
sum{job="a"}
by
on
ignoring(job)
offset
bool
nan + gauge
limitk(gauge)
~info(gauge, 1)
info(gauge, gauge)
sort_by_label(gauge, job)
sort_by_label(gauge)
sort(gauge, "job")
predict_linear(gauge[5m])
quantile_over_time(gauge[5m], 0.5)
holt_winters(gauge[5m], 0.5, 0.5)
absent_over_time(gauge)
max(gauge) over_time
max_over_time(gauge)
max_over_time(gauge[5m:])[5m]
max_over_time(gauge[5m:1m] offset 1m offset 1m)
irate(gauge[5m:1m]
avg by (job) (rate(counter_total[5m])
sum(rate(counter_total[5m]) by (job)
sum(rate(counter_total{job="a"[5m]))
sum(rate(counter_total{job="a"}[5m])) by job
sum(rate(counter_total{job="a"}[5m]) / 2
100 * (1 - avg(rate(counter_total[5m]))
gauge > 5 and
gauge{job="a"} by (job)
count(gauge) by (job) > 
foo bar baz
$__interval
rate(counter_total[$__interval])
rate(counter_total[$__rate_interval])
gauge{job="$job"}[
gauge[5m
gauge[5m:
gauge[5m:1m
gauge[5m *
gauge[(5m
sum(gauge[5m
sum(gauge{job="a"
sum(gauge by (job)
"a
gauge{job="
gauge{$job}
sum(gauge) by ($job)
"#;
