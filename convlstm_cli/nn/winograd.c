// Convolutions of frames whose channels lie together, by Winograd's minimal filtering (Lavin and Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016): tiles of 2x2 outputs cost 16 multiplications where 3x3 kernels take
// 36, and 36 where 5x5 kernels take 100. c_kernels.py compiles this file on first use; winograd.py has the mathematics of
// the weights and says how exact this is.
//
// A tile of n x n values d, n = kernel + 1, becomes V = B^T d B; each of the n*n values is multiplied with its own
// matrix (in, out) of transformed weights U, summing over channels; and the tile of outputs is A^T M A. The gradient to
// the weights goes the same way back: Z = A dY A^T, and V^T Z summed over tiles.

#include <math.h>
#include <stdint.h>
#include <string.h>

extern int omp_get_num_threads(void);
extern int omp_get_thread_num(void);

#define INLINE static inline __attribute__((always_inline))

// Of the matrix product at the heart: rows of a times two vectors of b, as many as the registers hold.
#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 12 };
#elif defined(__AVX2__)
enum { LANES = 8, ROWS = 6 };
#else
enum { LANES = 4, ROWS = 8 };
#endif
enum { PANEL = 2 * LANES, MOST = 36, CHUNK = 64 };

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float anywhere __attribute__((vector_size(4 * LANES), aligned(4)));

INLINE vec get(const float *p) { return *(const anywhere *)p; }
INLINE void put(float *p, vec v) { *(anywhere *)p = v; }

// The order of fields is that of winograd.py.
typedef struct {
  int64_t items, height, width, in, out;
  int64_t n;  // side of a tile
  int64_t threads;
  int64_t beside;  // channels of further frames, which are summed over as well; 0 for none
} Shape;

// Channels that are summed over, and values of V that one tile has room for at each of its n*n places.
INLINE int64_t depth_of(const Shape *s) { return s->in + s->beside; }
INLINE int64_t width_of(const Shape *s) { return s->in + (s->beside + LANES - 1) / LANES * LANES; }

// B^T, A^T and A on values that lie `step` apart. Interpolation is at 0, 1, -1 and infinity, and for 5x5 at 0, 3/4, -3/4,
// 3/2, -3/2 and infinity, of the points tried those with the smallest error. Pairs of opposite points share the sums of
// even and of odd terms. Rows of B^T are scaled to be simple, and those of the weights' G by the inverse.
static const float NEAR = 0.75f, FAR = 1.5f;

INLINE void before(int n, const vec *d, int step, vec *to, int apart) {
  vec a = d[step], b = d[2 * step], c = d[3 * step];
  if (n == 4) {
    to[0] = d[0] - b, to[apart] = a + b, to[2 * apart] = b - a, to[3 * apart] = c - a;
    return;
  }
  float near = NEAR * NEAR, far = FAR * FAR;
  vec e = d[4 * step];
  vec even = far * b - e, odd = NEAR * (far * a - c);
  to[0] = near * far * d[0] - (near + far) * b + e;
  to[apart] = even + odd, to[2 * apart] = even - odd;
  even = near * b - e, odd = FAR * (near * a - c);
  to[3 * apart] = even + odd, to[4 * apart] = even - odd;
  to[5 * apart] = near * far * a - (near + far) * c + d[5 * step];
}

INLINE void after(int n, const vec *d, int step, vec *to, int apart) {
  vec a = d[step], b = d[2 * step], c = d[3 * step];
  if (n == 4) {
    to[0] = d[0] + (a + b), to[apart] = a - b + c;
    return;
  }
  vec e = d[4 * step];
  to[0] = d[0] + (a + b) + (c + e), to[apart] = NEAR * (a - b) + FAR * (c - e) + d[5 * step];
}

INLINE void spread(int n, const vec *d, int step, vec *to, int apart) {
  vec a = d[0], b = d[step];
  float near = n == 4 ? 1.0f : NEAR;
  to[0] = a, to[apart] = a + near * b, to[2 * apart] = a - near * b;
  if (n == 6) to[3 * apart] = a + FAR * b, to[4 * apart] = a - FAR * b;
  to[(n - 1) * apart] = b;
}

typedef struct {
  int64_t across, count;  // tiles in a row of tiles; tiles in all items
  int64_t per_item;
} Tiles;

INLINE Tiles tiles_of(const Shape *s) {
  int64_t across = (s->width + 1) / 2, down = (s->height + 1) / 2;
  return (Tiles){across, across * down * s->items, across * down};
}

// V of one tile: value p goes to v[p * apart + channel]. Outside of the frame there are zeros.
// Loads are of whole vectors, so that it reads up to LANES - 1 values behind the last channel.
INLINE void transform_some(const Shape *s, int n, Tiles tiles, int64_t tile, const float *frames, int64_t channels,
                           const float *zeros, float *v, int64_t apart) {
  const float *at[MOST];
  int64_t item = tile / tiles.per_item, within = tile % tiles.per_item;
  int64_t top = within / tiles.across * 2 - (n - 2) / 2, left = within % tiles.across * 2 - (n - 2) / 2;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      int64_t y = top + i, x = left + j;
      int inside = y >= 0 && y < s->height && x >= 0 && x < s->width;
      at[i * n + j] = inside ? frames + ((item * s->height + y) * s->width + x) * channels : zeros;
    }
  for (int64_t c = 0; c < channels; c += LANES) {
    vec d[MOST], t[MOST];
#pragma GCC unroll 36
    for (int k = 0; k < n * n; k++) d[k] = get(at[k] + c);
#pragma GCC unroll 6
    for (int j = 0; j < n; j++) before(n, d + j, n, t + j, n);
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
      vec row[6];
      before(n, t + i * n, 1, row, 1);
#pragma GCC unroll 6
      for (int j = 0; j < n; j++) put(v + (i * n + j) * apart + c, row[j]);
    }
  }
}

// That of both frames, behind each other.
INLINE void transform_frames(const Shape *s, int n, Tiles tiles, int64_t tile, const float *frames, const float *beside,
                             const float *zeros, float *v, int64_t apart) {
  transform_some(s, n, tiles, tile, frames, s->in, zeros, v, apart);
  if (s->beside) transform_some(s, n, tiles, tile, beside, s->beside, zeros, v + s->in, apart);
}

// c (rows, PANEL) = or += a (rows, depth) b (depth, PANEL), b and what is written of c without gaps in a row.
INLINE void multiply(const float *a, int64_t a_row, int64_t a_deep, const float *b, int64_t depth, float *c,
                     int64_t c_row, int add, int64_t rows) {
  vec sums[ROWS][2] = {{{0}}};
  for (int64_t k = 0; k < depth; k++) {
    vec left = get(b + k * PANEL), right = get(b + k * PANEL + LANES);
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
      float x = a[r * a_row + k * a_deep];
      sums[r][0] += x * left;
      sums[r][1] += x * right;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < ROWS; r++) {
    if (r >= rows) break;
    float *to = c + r * c_row;
    put(to, add ? get(to) + sums[r][0] : sums[r][0]);
    put(to + LANES, add ? get(to + LANES) + sums[r][1] : sums[r][1]);
  }
}

// The 2x2 outputs of one tile for channels from `first` on: m[p * apart + channel - first].
INLINE void transform_products(const Shape *s, int n, Tiles tiles, int64_t tile, const float *m, int64_t apart,
                               int64_t first, int64_t channels, const float *bias, int add, float *output) {
  int64_t item = tile / tiles.per_item, within = tile % tiles.per_item;
  int64_t top = within / tiles.across * 2, left = within % tiles.across * 2;
  for (int64_t c = 0; c < channels; c += LANES) {
    vec d[MOST], t[2 * 6] = {{0}};
#pragma GCC unroll 36
    for (int k = 0; k < n * n; k++) d[k] = get(m + k * apart + c);
#pragma GCC unroll 6
    for (int j = 0; j < n; j++) after(n, d + j, n, t + j, n);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      vec row[2];
      after(n, t + i * n, 1, row, 1);
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++) {
        if (top + i >= s->height || left + j >= s->width) continue;
        float *to = output + ((item * s->height + top + i) * s->width + left + j) * s->out + first + c;
        vec y = bias ? row[j] + get(bias + first + c) : row[j];
        put(to, add ? get(to) + y : y);
      }
    }
  }
}

// Z of one tile of the gradient to the output, for channels from `first` on, in panels: value p of channel o goes to
// z[p * apart + (o - first) / PANEL * depth * PANEL + o % PANEL].
INLINE void transform_gradient(const Shape *s, int n, Tiles tiles, int64_t tile, const float *gradient,
                               const float *zeros, int64_t first, int64_t channels, float *z, int64_t apart,
                               int64_t depth) {
  int64_t item = tile / tiles.per_item, within = tile % tiles.per_item;
  int64_t top = within / tiles.across * 2, left = within % tiles.across * 2;
  const float *at[4];
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      int inside = top + i < s->height && left + j < s->width;
      at[2 * i + j] =
          inside ? gradient + ((item * s->height + top + i) * s->width + left + j) * s->out + first : zeros;
    }
  for (int64_t c = 0; c < channels; c += LANES) {
    vec d[4], t[6 * 2];
    float *to = z + c / PANEL * depth * PANEL + c % PANEL;
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) d[k] = get(at[k] + c);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) spread(n, d + j, 2, t + j, 2);
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
      vec row[6];
      spread(n, t + 2 * i, 1, row, 1);
#pragma GCC unroll 6
      for (int j = 0; j < n; j++) put(to + (i * n + j) * apart, row[j]);
    }
  }
}

// Tiles that one thread takes at a time: as many as leave V in half of a usual second-level cache, in whole rows.
static int64_t block_of(const Shape *s) {
  int64_t fit = 65536 / (s->n * s->n * width_of(s)) / ROWS * ROWS, least = 24 / ROWS * ROWS, most = 96 / ROWS * ROWS;
  return fit < least ? least : fit > most ? most : fit;
}

static int64_t forward_scratch(const Shape *s) {
  return s->n * s->n * block_of(s) * (width_of(s) + CHUNK) + ROWS * width_of(s);
}

int64_t winograd_panel(void) { return PANEL; }

// Floats of memory that the functions below need to work in.
int64_t winograd_scratch(const Shape *s) {
  int64_t width = width_of(s);
  return s->threads * forward_scratch(s) + (width > CHUNK ? width : CHUNK);
}

INLINE void forward(const Shape *s, int n, const float *frames, const float *beside, const float *weights,
                    const float *bias, int add, float *output, float *scratch) {
  Tiles tiles = tiles_of(s);
  int64_t depth = depth_of(s), width = width_of(s);
  int64_t block = block_of(s), blocks = (tiles.count + block - 1) / block;
  float *zeros = scratch;
  memset(zeros, 0, width * sizeof(float));
#pragma omp parallel num_threads(s->threads)
  {
    float *v = scratch + width + omp_get_thread_num() * forward_scratch(s);
    float *m = v + n * n * block * width + ROWS * width;
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < blocks; b++) {
      int64_t first = b * block, count = tiles.count - first < block ? tiles.count - first : block;
      for (int64_t k = 0; k < count; k++)
        transform_frames(s, n, tiles, first + k, frames, beside, zeros, v + k * width, block * width);
      for (int64_t o = 0; o < s->out; o += CHUNK) {
        int64_t channels = s->out - o < CHUNK ? s->out - o : CHUNK;
        for (int64_t p = 0; p < n * n; p++)
          for (int64_t c = 0; c < channels; c += PANEL)
            for (int64_t k = 0; k < count; k += ROWS)
              multiply(v + (p * block + k) * width, width, 1, weights + (p * s->out + o + c) * depth, depth,
                       m + (p * block + k) * CHUNK + c, CHUNK, 0, ROWS);
        for (int64_t k = 0; k < count; k++)
          transform_products(s, n, tiles, first + k, m + k * CHUNK, block * CHUNK, o, channels, bias, add, output);
      }
    }
  }
}

// output (items, height, width, out) = or += the convolution of frames (items, height, width, in), and of frames beside
// them (items, height, width, beside), with weights (n*n, out / PANEL, in + beside, PANEL), plus bias (out) unless it is
// null. LANES - 1 values behind the frames beside are read.
void winograd_forward(const Shape *s, const float *frames, const float *beside, const float *weights, const float *bias,
                      int64_t add, float *output, float *scratch) {
  if (s->n == 4)
    forward(s, 4, frames, beside, weights, bias, (int)add, output, scratch);
  else
    forward(s, 6, frames, beside, weights, bias, (int)add, output, scratch);
}

INLINE void weight_gradient(const Shape *s, int n, const float *frames, const float *beside, const float *gradient,
                            float *sums, float *scratch) {
  Tiles tiles = tiles_of(s);
  int64_t channels_in = depth_of(s), width = width_of(s);
  int64_t block = block_of(s), wide = width > CHUNK ? width : CHUNK;
  float *zeros = scratch;
  memset(zeros, 0, wide * sizeof(float));
#pragma omp parallel num_threads(s->threads)
  {
    int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t end = tiles.count * (thread + 1) / threads;
    float *v = scratch + wide + thread * forward_scratch(s), *z = v + n * n * block * width + ROWS * width;
    float *own = sums + thread * n * n * channels_in * s->out;
    for (int64_t first = tiles.count * thread / threads; first < end; first += block) {
      int64_t depth = end - first < block ? end - first : block;
      for (int64_t k = 0; k < depth; k++)
        transform_frames(s, n, tiles, first + k, frames, beside, zeros, v + k * width, block * width);
      for (int64_t o = 0; o < s->out; o += CHUNK) {
        int64_t channels = s->out - o < CHUNK ? s->out - o : CHUNK;
        for (int64_t k = 0; k < depth; k++)
          transform_gradient(s, n, tiles, first + k, gradient, zeros, o, channels, z + k * PANEL, block * CHUNK, depth);
        for (int64_t p = 0; p < n * n; p++)
          for (int64_t c = 0; c < channels_in; c += ROWS)
            for (int64_t q = 0; q < channels; q += PANEL)
              multiply(v + p * block * width + c, 1, width, z + p * block * CHUNK + q * depth, depth,
                       own + (p * channels_in + c) * s->out + o + q, s->out, 1, channels_in - c);
      }
    }
  }
}

// sums (threads, n*n, in + beside, out), of which each thread has its own, += V^T Z of frames (items, height, width, in),
// and those beside them, and the gradient to their output (..., out). Reads behind the frames beside as above.
void winograd_weight_gradient(const Shape *s, const float *frames, const float *beside, const float *gradient,
                              float *sums, float *scratch) {
  if (s->n == 4)
    weight_gradient(s, 4, frames, beside, gradient, sums, scratch);
  else
    weight_gradient(s, 6, frames, beside, gradient, sums, scratch);
}
