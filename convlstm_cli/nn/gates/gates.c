// The gate arithmetic of one time step and its gradient, each in one pass over memory. The equations are those of
// cell.py; tests hold the two together. native.py compiles this file on first use, once for each type of frames:
// with BFLOAT16, gates and hidden states lie in memory as the upper half of a float. All arithmetic and the cell
// state are float.
//
// Positions are divided among threads, and each thread goes over all items of the batch at its positions: so what is
// summed over a batch waits for no other thread, and comes out the same every time.

#include <math.h>
#include <stdint.h>
#include <string.h>

extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);

#define INLINE static inline __attribute__((always_inline))

// The kinds of a peephole, and whether neighbours in memory share a weight: the cases that get loops of their own.
enum { NO_PEEPHOLE, PER_CHANNEL, FULL };
enum { NONE, SHARED, EACH };
enum { SIGMOID, HARD_SIGMOID };

// What a step does beside its tensors, in the order of native.py.
typedef struct {
  int64_t batch, hidden, positions;
  int64_t channels_last;  // memory is (batch, positions, channels), else (batch, channels, positions)
  int64_t peephole;  // NO_PEEPHOLE, PER_CHANNEL or FULL
  int64_t hard;      // a hard sigmoid
  int64_t detach;  // Gers' rule
  int64_t keep;    // write the activated gates back, for the gradient
  int64_t threads;
  double slope;  // of a hard sigmoid
  double clip;   // bound of |c|; infinity for none
} Step;

typedef struct {
  const float *i, *f, *o;
} Peepholes;

typedef struct {
  float *bias;       // 4 rows
  float *i, *f, *o;  // of the peepholes
} Sums;

#ifdef BFLOAT16
typedef uint16_t stored;

INLINE float load(const stored *p) {
  uint32_t bits = (uint32_t)*p << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

INLINE void store(stored *p, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest, ties to even
  *p = (stored)(value != value ? 0x7fc0 : rounded);
}
#else
typedef float stored;
INLINE float load(const stored *p) { return *p; }
INLINE void store(stored *p, float value) { *p = value; }
#endif

// To two units in the last place, and without a branch or a call, so that loops around it become vectors. NaN stays.
INLINE float exponential(float x) {
  x = x > 88.0f ? 88.0f : x;
  x = x < -87.0f ? -87.0f : x;
  float n = rintf(x * 1.44269504f);
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

// A quotient of polynomials, odd over even, fitted to where tanh is not yet 1 in float; to three units in the last
// place, also near zero.
INLINE float hyperbolic_tangent(float x) {
  x = x > 7.90531110f ? 7.90531110f : x;
  x = x < -7.90531110f ? -7.90531110f : x;
  float z = x * x;
  float p = -2.76076847742355e-16f;
  p = p * z + 2.00018790482477e-13f;
  p = p * z - 8.60467152213735e-11f;
  p = p * z + 5.12229709037114e-08f;
  p = p * z + 1.48572235717979e-05f;
  p = p * z + 6.37261928875436e-04f;
  p = p * z + 4.89352455891786e-03f;
  float q = 1.19825839466702e-06f;
  q = q * z + 1.18534705686654e-04f;
  q = q * z + 2.26843463243900e-03f;
  q = q * z + 4.89352518554385e-03f;
  return x * p / q;
}

INLINE float sigma(float x, int activation, float slope) {
  if (activation == SIGMOID) return 1.0f / (1.0f + exponential(-x));
  float y = slope * x + 0.5f;
  y = y < 0.0f ? 0.0f : y;
  return y > 1.0f ? 1.0f : y;
}

// The derivative, from the activated value.
INLINE float sigma_slope(float s, int activation, float slope) {
  if (activation == SIGMOID) return s * (1.0f - s);
  return s > 0.0f && s < 1.0f ? slope : 0.0f;
}

// The part of a state or gate that lies together in memory: all channels of a position, or a channel's positions from
// one thread's first to its last.
typedef struct {
  int64_t count, length;  // runs in one item of the batch; values in a run
  int64_t state, gate;    // where the first one begins
  int64_t state_step, gate_step, weight, weight_step, sum_step;
  int64_t apart;  // between the gates of one run
} Runs;

INLINE Runs runs_of(const Step *s, int64_t item, int64_t from, int64_t to) {
  int64_t F = s->hidden, P = s->positions, full = s->peephole == FULL;
  if (s->channels_last)
    return (Runs){to - from, F, (item * P + from) * F, (item * P + from) * 4 * F, F, 4 * F, full * from * F, full * F,
                  0, F};
  return (Runs){F, to - from, item * F * P + from, item * 4 * F * P + from, P, P, full * from, full ? P : 1, 1, F * P};
}

INLINE void forward_runs(const Step *s, int weights, int activation, int keep, stored *restrict gates, const float *c_prev,
                         float *c, stored *restrict h, Peepholes p, int64_t from, int64_t to) {
  float clip = (float)s->clip, slope = (float)s->slope;
  for (int64_t item = 0; item < s->batch; item++) {
    Runs runs = runs_of(s, item, from, to);
    for (int64_t r = 0; r < runs.count; r++) {
      stored *gi = gates + runs.gate + r * runs.gate_step, *gf = gi + runs.apart, *gg = gf + runs.apart,
             *go = gg + runs.apart;
      const float *before = c_prev + runs.state + r * runs.state_step;
      float *after = c + runs.state + r * runs.state_step;
      stored *out = h + runs.state + r * runs.state_step;
      int64_t w = runs.weight + r * runs.weight_step;
      const float *wi = p.i + w, *wf = p.f + w, *wo = p.o + w;
#pragma omp simd
      for (int64_t j = 0; j < runs.length; j++) {
        float i = load(gi + j), f = load(gf + j), g = load(gg + j), o = load(go + j), old = before[j];
        int64_t k = weights == EACH ? j : 0;
        if (weights != NONE) i += wi[k] * old, f += wf[k] * old;
        i = sigma(i, activation, slope), f = sigma(f, activation, slope), g = hyperbolic_tangent(g);
        float new = f * old + i * g;
        new = new > clip ? clip : new;
        new = new < -clip ? -clip : new;
        if (weights != NONE) o += wo[k] * new;
        o = sigma(o, activation, slope);
        after[j] = new;
        store(out + j, o * hyperbolic_tangent(new));
        if (keep) store(gi + j, i), store(gf + j, f), store(gg + j, g), store(go + j, o);
      }
    }
  }
}

INLINE void backward_runs(const Step *s, int weights, int activation, int last, const stored *restrict gates,
                          const float *restrict c_prev, const float *restrict c, const stored *restrict dh,
                          const stored *restrict more, float *restrict dc, stored *restrict grads, Peepholes p,
                          Sums sums, int64_t from, int64_t to) {
  float clip = (float)s->clip, slope = (float)s->slope;
  int through = weights != NONE && !s->detach;
  int64_t F = s->hidden;
  for (int64_t item = 0; item < s->batch; item++) {
    Runs runs = runs_of(s, item, from, to);
    for (int64_t r = 0; r < runs.count; r++) {
      int64_t at = runs.state + r * runs.state_step, gate = runs.gate + r * runs.gate_step, apart = runs.apart;
      const stored *gi = gates + gate, *gf = gi + apart, *gg = gf + apart, *go = gg + apart;
      stored *di = grads + gate, *df = di + apart, *dg = df + apart, *dO = dg + apart;
      int64_t w = runs.weight + r * runs.weight_step;
      const float *wi = p.i + w, *wf = p.f + w, *wo = p.o + w;
      float *restrict pi = sums.i + w, *restrict pf = sums.f + w, *restrict po = sums.o + w;
      float *restrict bi = sums.bias + r * runs.sum_step, *restrict bf = bi + F, *restrict bg = bf + F,
                      *restrict bo = bg + F;
      float si = 0, sf = 0, sg = 0, so = 0, ti = 0, tf = 0, to_ = 0;
#pragma omp simd reduction(+ : si, sf, sg, so, ti, tf, to_)
      for (int64_t j = 0; j < runs.length; j++) {
        float i = load(gi + j), f = load(gf + j), g = load(gg + j), o = load(go + j);
        float old = c_prev[at + j], new = c[at + j], grad_h = load(dh + at + j) + load(more + at + j);
        int64_t k = weights == EACH ? j : 0;
        float squashed = hyperbolic_tangent(new);
        float grad_o = grad_h * squashed * sigma_slope(o, activation, slope);
        float grad_c = dc[at + j] + grad_h * o * (1.0f - squashed * squashed);
        if (through) grad_c += wo[k] * grad_o;
        grad_c = fabsf(new) >= clip ? 0.0f : grad_c;
        float grad_i = grad_c * g * sigma_slope(i, activation, slope);
        float grad_f = grad_c * old * sigma_slope(f, activation, slope);
        float grad_g = grad_c * i * (1.0f - g * g);
        float grad_old = grad_c * f;
        if (through) grad_old += wi[k] * grad_i + wf[k] * grad_f;
        dc[at + j] = grad_old;
        store(di + j, grad_i), store(df + j, grad_f), store(dg + j, grad_g), store(dO + j, grad_o);
        if (last)
          bi[j] += grad_i, bf[j] += grad_f, bg[j] += grad_g, bo[j] += grad_o;
        else
          si += grad_i, sf += grad_f, sg += grad_g, so += grad_o;
        if (weights == EACH) pi[j] += grad_i * old, pf[j] += grad_f * old, po[j] += grad_o * new;
        if (weights == SHARED) ti += grad_i * old, tf += grad_f * old, to_ += grad_o * new;
      }
      if (!last) *bi += si, *bf += sf, *bg += sg, *bo += so;
      if (weights == SHARED) *pi += ti, *pf += tf, *po += to_;
    }
  }
}

// A copy of the loops for each case, in which the compiler has decided its tests.
#define BY_ACTIVATION(CALL, WEIGHTS, LAST)           \
  do {                                               \
    if (s->hard) {                                   \
      CALL(WEIGHTS, HARD_SIGMOID, LAST);             \
    } else {                                         \
      CALL(WEIGHTS, SIGMOID, LAST);                  \
    }                                                \
  } while (0)
#define BY_CASE(CALL)                                \
  do {                                               \
    if (s->peephole == NO_PEEPHOLE)                  \
      if (s->channels_last)                          \
        BY_ACTIVATION(CALL, NONE, 1);                \
      else                                           \
        BY_ACTIVATION(CALL, NONE, 0);                \
    else if (s->channels_last)                       \
      BY_ACTIVATION(CALL, EACH, 1);                  \
    else if (s->peephole == FULL)                    \
      BY_ACTIVATION(CALL, EACH, 0);                  \
    else                                             \
      BY_ACTIVATION(CALL, SHARED, 0);                \
  } while (0)

// Reads gates before activation and c_{t-1}; writes c_t (which may be where c_{t-1} was), h_t and, to keep, the gates.
void convlstm_forward(const Step *s, stored *gates, const float *c_prev, float *c, stored *h, Peepholes p) {
#pragma omp parallel num_threads(s->threads)
  {
    int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t from = s->positions * thread / threads, to = s->positions * (thread + 1) / threads;
#define CALL(WEIGHTS, ACTIVATION, LAST)                                        \
  if (s->keep)                                                                \
    forward_runs(s, WEIGHTS, ACTIVATION, 1, gates, c_prev, c, h, p, from, to); \
  else                                                                        \
    forward_runs(s, WEIGHTS, ACTIVATION, 0, gates, c_prev, c, h, p, from, to)
    BY_CASE(CALL);
#undef CALL
  }
}

// Reads activated gates, c_{t-1}, c_t and the two parts of the gradient to h_t; turns the gradient to c_t into that to
// c_{t-1}; writes the gradient to the gates before activation. Adds to sums: the bias is (threads, 4 * hidden), each
// peephole (threads, hidden), or where it is full (hidden, positions) in the order of memory.
void convlstm_backward(const Step *s, const stored *gates, const float *c_prev, const float *c, const stored *dh,
                       const stored *more, float *dc, stored *grads, Peepholes p, Sums sums) {
#pragma omp parallel num_threads(s->threads)
  {
    int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t from = s->positions * thread / threads, to = s->positions * (thread + 1) / threads;
    int64_t own = s->peephole == FULL ? 0 : thread * s->hidden;
    Sums mine = {sums.bias + thread * 4 * s->hidden, sums.i + own, sums.f + own, sums.o + own};
#define CALL(WEIGHTS, ACTIVATION, LAST) \
  backward_runs(s, WEIGHTS, ACTIVATION, LAST, gates, c_prev, c, dh, more, dc, grads, p, mine, from, to)
    BY_CASE(CALL);
#undef CALL
  }
}
