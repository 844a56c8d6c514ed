// The search for motion on one level of a pyramid, and a frame moved on along motions, each row by row on all threads.
// The arithmetic is that of eager.py and guided.py, which compute it by tensors; tests hold the two together.
// native.py compiles this file on first use.
//
// Each value is computed from its own row and place alone, in one order: so it comes out the same for any number of
// threads, in any batch, and in a window of a larger frame.

#include <math.h>
#include <stdint.h>

extern int omp_get_thread_num(void);

#define INLINE static inline __attribute__((always_inline))

// A position within [0, size - 1]; 0 for NaN, at which nothing could be read.
INLINE float within(float position, int32_t size) {
  float last = (float)(size - 1);
  position = position > 0.0f ? position : 0.0f;
  return position < last ? position : last;
}

INLINE int32_t between(int32_t index, int32_t size) {
  index = index > 0 ? index : 0;
  return index < size ? index : size - 1;
}

// A plane (height, width) at a position within it, bilinearly. All indices count from the plane's first pixel, so that
// loops around it become gathers of vectors.
INLINE float bilinear(const float *plane, int32_t height, int32_t width, float x, float y) {
  int32_t left = (int32_t)x, top = (int32_t)y;
  int32_t right = between(left + 1, width), above = top * width, below = between(top + 1, height) * width;
  float across = x - (float)left, down = y - (float)top;
  float first = plane[above + left] + across * (plane[above + right] - plane[above + left]);
  float second = plane[below + left] + across * (plane[below + right] - plane[below + left]);
  return first + down * (second - first);
}

// The weights of cubic convolution (Keys 1981) with the slope of torch's grid_sample.
INLINE void cubic_weights(float part, float *weights) {
  const float slope = -0.75f;
  float before = part + 1.0f, after = 1.0f - part, behind = 2.0f - part;
  weights[0] = ((slope * before - 5.0f * slope) * before + 8.0f * slope) * before - 4.0f * slope;
  weights[1] = ((slope + 2.0f) * part - (slope + 3.0f)) * part * part + 1.0f;
  weights[2] = ((slope + 2.0f) * after - (slope + 3.0f)) * after * after + 1.0f;
  weights[3] = ((slope * behind - 5.0f * slope) * behind + 8.0f * slope) * behind - 4.0f * slope;
}

INLINE float along(const float *plane, const float *weights, int32_t row, const int32_t *columns) {
  return weights[0] * plane[row + columns[0]] + weights[1] * plane[row + columns[1]] +
         weights[2] * plane[row + columns[2]] + weights[3] * plane[row + columns[3]];
}

// A plane at a position within it, by cubic convolution; beyond its edge is its edge.
INLINE float cubic(const float *plane, int32_t height, int32_t width, float x, float y) {
  int32_t column = (int32_t)x, row = (int32_t)y;
  float across[4], down[4];
  cubic_weights(x - (float)column, across);
  cubic_weights(y - (float)row, down);
  int32_t columns[4] = {between(column - 1, width), column, between(column + 1, width), between(column + 2, width)};
  return down[0] * along(plane, across, between(row - 1, height) * width, columns) +
         down[1] * along(plane, across, row * width, columns) +
         down[2] * along(plane, across, between(row + 1, height) * width, columns) +
         down[3] * along(plane, across, between(row + 2, height) * width, columns);
}

// One level and how it is searched, in the order of kernels.py.
typedef struct {
  int64_t clips, frames, height, width;
  int64_t iterations, window, smoothing;  // radii of the two Gaussians in pixels
  int64_t threads;
  double damping, unexplained;
  double least_trust, structure, contrast;  // of guided.py, the second times the damping
} Level;

// Terms of the normal equations; sums of the guided filter, each weighted: one, I, I I, u, v, I u, I v; and what it fits:
// one, two slopes, two offsets.
enum { TERMS = 5, SUMS = 7, LINES = TERMS };

// Floats that a thread needs for itself: the rows of all sums, and one with its edges repeated.
static int64_t own_scratch(const Level *s) {
  int64_t radius = s->window > s->smoothing ? s->window : s->smoothing;
  return (SUMS + 1) * s->width + 2 * radius;
}

// Floats of scratch memory that `motion_improve` needs.
int64_t motion_scratch(const Level *s) {
  int64_t rows = s->clips * s->height;
  return rows * ((s->frames - 1) * (s->width + 2) + (TERMS + SUMS) * s->width) + s->threads * own_scratch(s);
}

// A row under one half of a Gaussian, its middle first, in place; `padded` is scratch memory.
static void blur_row(float *row, int64_t width, const float *half, int64_t radius, float *padded) {
  for (int64_t x = 0; x < radius; x++) padded[x] = row[0], padded[radius + width + x] = row[width - 1];
  for (int64_t x = 0; x < width; x++) padded[radius + x] = row[x];
  const float *middle = padded + radius;
  for (int64_t x = 0; x < width; x++) row[x] = half[0] * middle[x];
  for (int64_t offset = 1; offset <= radius; offset++)
    for (int64_t x = 0; x < width; x++) row[x] += half[offset] * (middle[x - offset] + middle[x + offset]);
}

// Row y of a plane under the Gaussian along y.
static void blur_column(
  const float *plane, int64_t height, int64_t width, int64_t y, const float *half, int64_t radius, float *row) {
  for (int64_t x = 0; x < width; x++) row[x] = half[0] * plane[y * width + x];
  for (int64_t offset = 1; offset <= radius; offset++) {
    const float *above = plane + (y > offset ? y - offset : 0) * width;
    const float *below = plane + (y + offset < height ? y + offset : height - 1) * width;
    for (int64_t x = 0; x < width; x++) row[x] += half[offset] * (above[x] + below[x]);
  }
}

// Row y of the terms of the normal equations, (TERMS, height, width), blurred along x, and of how much each pixel's
// motion counts. Rows of what was moved have their edges repeated.
static void add_terms(
  const Level *s, const float *last, const float *moved, int64_t y, const float *window, float *terms, float *trust,
  float *padded) {
  int64_t width = s->width, area = s->height * width, before = s->frames - 1, stride = width + 2;
  float unexplained = (float)s->unexplained;
  float *restrict xx = terms + y * width, *restrict xy = xx + area, *restrict yy = xy + area;
  float *restrict xt = yy + area, *restrict yt = xt + area;
  for (int64_t x = 0; x < width; x++) xx[x] = xy[x] = yy[x] = xt[x] = yt[x] = 0.0f;
  for (int64_t frame = 0; frame < before; frame++) {
    const float *here = moved + (frame * s->height + y) * stride + 1;
    const float *above = y > 0 ? here - stride : here, *below = y + 1 < s->height ? here + stride : here;
    float steps = (float)(before - frame), half = steps / 2.0f, scale = unexplained / steps / (float)before;
#pragma omp simd
    for (int64_t x = 0; x < width; x++) {
      float dx = half * (here[x + 1] - here[x - 1]), dy = half * (below[x] - above[x]);
      float difference = last[y * width + x] - here[x];
      float weight = scale / sqrtf(difference * difference + unexplained * unexplained);
      xx[x] += weight * dx * dx, xy[x] += weight * dx * dy, yy[x] += weight * dy * dy;
      xt[x] += weight * dx * difference, yt[x] += weight * dy * difference;
    }
  }
  float least = (float)s->least_trust, structure = (float)s->structure, *weight = trust + y * width;
#pragma omp simd
  for (int64_t x = 0; x < width; x++) {
    float squares = xx[x] + yy[x];
    weight[x] = least + squares / (squares + structure);
  }
  for (int64_t term = 0; term < TERMS; term++) blur_row(xx + term * area, width, window, s->window, padded);
}

// Row y of the sums of the guided filter, (SUMS, height, width), blurred along x, of the motion (2, height, width) after
// the step that the terms ask for. The first of the sums holds how much each pixel counts.
static void add_sums(
  const Level *s, const float *last, const float *terms, const float *flow, int64_t y, const float *window,
  const float *smoothing, float *sums, float *own, float *padded) {
  int64_t width = s->width, area = s->height * width;
  for (int64_t term = 0; term < TERMS; term++)
    blur_column(terms + term * area, s->height, width, y, window, s->window, own + term * width);
  const float *xx = own, *xy = xx + width, *yy = xy + width, *xt = yy + width, *yt = xt + width;
  const float *u = flow + y * width, *v = u + area, *shown = last + y * width;
  float damping = (float)s->damping, *row = sums + y * width;
#pragma omp simd
  for (int64_t x = 0; x < width; x++) {
    float a = xx[x] + damping, b = xy[x], d = yy[x] + damping, determinant = a * d - b * b;
    float new_u = u[x] + (b * yt[x] - d * xt[x]) / determinant, new_v = v[x] + (b * xt[x] - a * yt[x]) / determinant;
    float weight = row[x], shaded = weight * shown[x];
    row[area + x] = shaded, row[2 * area + x] = shaded * shown[x];
    row[3 * area + x] = weight * new_u, row[4 * area + x] = weight * new_v;
    row[5 * area + x] = shaded * new_u, row[6 * area + x] = shaded * new_v;
  }
  for (int64_t sum = 0; sum < SUMS; sum++) blur_row(row + sum * area, width, smoothing, s->smoothing, padded);
}

// Row y of what the guided filter fits in the window around each pixel, (LINES, height, width), blurred along x.
static void add_lines(
  const Level *s, const float *sums, int64_t y, const float *smoothing, float *lines, float *own, float *padded) {
  int64_t width = s->width, area = s->height * width;
  for (int64_t sum = 0; sum < SUMS; sum++)
    blur_column(sums + sum * area, s->height, width, y, smoothing, s->smoothing, own + sum * width);
  const float *total = own, *i = total + width, *ii = i + width, *u = ii + width, *v = u + width;
  const float *iu = v + width, *iv = iu + width;
  float contrast = (float)s->contrast, *row = lines + y * width;
#pragma omp simd
  for (int64_t x = 0; x < width; x++) {
    float part = 1.0f / total[x], brightness = part * i[x], mean_u = part * u[x], mean_v = part * v[x];
    float variance = part * ii[x] - brightness * brightness;
    float steep = 1.0f / ((variance > 0.0f ? variance : 0.0f) + contrast);
    float slope_u = steep * (part * iu[x] - brightness * mean_u);
    float slope_v = steep * (part * iv[x] - brightness * mean_v);
    row[x] = total[x], row[area + x] = total[x] * slope_u, row[2 * area + x] = total[x] * slope_v;
    row[3 * area + x] = total[x] * (mean_u - slope_u * brightness);
    row[4 * area + x] = total[x] * (mean_v - slope_v * brightness);
  }
  for (int64_t line = 0; line < LINES; line++) blur_row(row + line * area, width, smoothing, s->smoothing, padded);
}

// Row y of the motion (2, height, width) that the guided filter gives.
static void follow(
  const Level *s, const float *last, const float *lines, int64_t y, const float *smoothing, float *flow, float *own) {
  int64_t width = s->width, area = s->height * width;
  for (int64_t line = 0; line < LINES; line++)
    blur_column(lines + line * area, s->height, width, y, smoothing, s->smoothing, own + line * width);
  const float *total = own, *slope_u = total + width, *slope_v = slope_u + width;
  const float *offset_u = slope_v + width, *offset_v = offset_u + width, *shown = last + y * width;
  float *u = flow + y * width, *v = u + area;
#pragma omp simd
  for (int64_t x = 0; x < width; x++) {
    float part = 1.0f / total[x];
    u[x] = part * (slope_u[x] * shown[x] + offset_u[x]);
    v[x] = part * (slope_v[x] * shown[x] + offset_v[x]);
  }
}

// Gauss-Newton steps: changes the motion (clips, 2, height, width) by what the frames (clips, frames, height, width)
// say. The Gaussians are halves, their middle first.
void motion_improve(
  const Level *s, const float *frames, const float *window, const float *smoothing, float *flow, float *scratch) {
  int64_t height = s->height, width = s->width, area = height * width, before = s->frames - 1, stride = width + 2;
  float *moved = scratch, *terms = moved + s->clips * before * height * stride;
  float *sums = terms + s->clips * TERMS * area, *owns = sums + s->clips * SUMS * area;
#pragma omp parallel num_threads(s->threads)
  {
    float *own = owns + omp_get_thread_num() * own_scratch(s), *padded = own + SUMS * width;
    for (int64_t iteration = 0; iteration < s->iterations; iteration++) {
#pragma omp for
      for (int64_t line = 0; line < s->clips * before * height; line++) {
        int64_t y = line % height, frame = line / height % before, clip = line / height / before;
        const float *plane = frames + (clip * s->frames + frame) * area;
        const float *u = flow + clip * 2 * area + y * width, *v = u + area;
        float steps = (float)(before - frame), *row = moved + line * stride + 1;
#pragma omp simd
        for (int32_t x = 0; x < (int32_t)width; x++)
          row[x] = bilinear(
            plane, (int32_t)height, (int32_t)width, within((float)x - steps * u[x], (int32_t)width),
            within((float)y - steps * v[x], (int32_t)height));
        row[-1] = row[0], row[width] = row[width - 1];
      }
      // Each of the next loops reads rows around its own that the one before has finished.
#pragma omp for
      for (int64_t line = 0; line < s->clips * height; line++) {
        int64_t y = line % height, clip = line / height;
        add_terms(
          s, frames + (clip * s->frames + before) * area, moved + clip * before * height * stride, y, window,
          terms + clip * TERMS * area, sums + clip * SUMS * area, padded);
      }
#pragma omp for
      for (int64_t line = 0; line < s->clips * height; line++) {
        int64_t y = line % height, clip = line / height;
        add_sums(
          s, frames + (clip * s->frames + before) * area, terms + clip * TERMS * area, flow + clip * 2 * area, y, window,
          smoothing, sums + clip * SUMS * area, own, padded);
      }
#pragma omp for
      for (int64_t line = 0; line < s->clips * height; line++) {
        int64_t y = line % height, clip = line / height;  // the terms have been used, and hold the lines from here on
        add_lines(s, sums + clip * SUMS * area, y, smoothing, terms + clip * TERMS * area, own, padded);
      }
#pragma omp for
      for (int64_t line = 0; line < s->clips * height; line++) {
        int64_t y = line % height, clip = line / height;
        follow(
          s, frames + (clip * s->frames + before) * area, terms + clip * TERMS * area, y, smoothing,
          flow + clip * 2 * area, own);
      }
    }
  }
}

// A frame that is moved on along motions, seen through a window, in the order of kernels.py.
typedef struct {
  int64_t clips, motions, channels, beside;  // `beside`: fields that are carried along the first motion
  int64_t height, width;                     // of the frame
  int64_t rows, columns, top, left;          // of the window
  int64_t unseen, steps;                     // steps before anything is read, and those after
  int64_t cubic, splat, threads;             // `splat`: whether the frame is splatted too
  double around, filled;                     // for each pixel that is missing where little lands
} Advance;

// Where what is seen one step later comes from, by the midpoint rule: changes displacements `u` and `v` of row y.
static void trace(const Advance *s, const float *motion, int64_t y, float *u, float *v) {
  int32_t height = (int32_t)s->height, width = (int32_t)s->width, area = height * width, columns = (int32_t)s->columns;
  float row = (float)(s->top + y), left = (float)s->left;
#pragma omp simd
  for (int32_t x = 0; x < columns; x++) {
    float column = left + (float)x;
    float px = within(column + u[x], width), py = within(row + v[x], height);
    float half_u = u[x] - bilinear(motion, height, width, px, py) / 2.0f;
    float half_v = v[x] - bilinear(motion + area, height, width, px, py) / 2.0f;
    px = within(column + half_u, width), py = within(row + half_v, height);
    u[x] -= bilinear(motion, height, width, px, py);
    v[x] -= bilinear(motion + area, height, width, px, py);
  }
}

// Row y of a window of a plane, read as far away as displacements say.
static void read_row(
  const Advance *s, const float *plane, int64_t y, const float *u, const float *v, int by_cubic, float *out) {
  int32_t height = (int32_t)s->height, width = (int32_t)s->width, columns = (int32_t)s->columns;
  float row = (float)(s->top + y), left = (float)s->left;
  if (by_cubic) {
#pragma omp simd
    for (int32_t x = 0; x < columns; x++)
      out[x] = cubic(plane, height, width, within(left + (float)x + u[x], width), within(row + v[x], height));
  } else {
#pragma omp simd
    for (int32_t x = 0; x < columns; x++)
      out[x] = bilinear(plane, height, width, within(left + (float)x + u[x], width), within(row + v[x], height));
  }
}

// The largest |value| of a plane; NaN counts for nothing.
static float farthest(const float *plane, int64_t area) {
  float most = 0.0f;
#pragma omp simd reduction(max : most)
  for (int64_t at = 0; at < area; at++) most = fabsf(plane[at]) > most ? fabsf(plane[at]) : most;
  return most;
}

// The sum of three by three values.
INLINE float nine(const float *corner, int64_t stride) {
  const float *next = corner + stride, *last = next + stride;
  return corner[0] + corner[1] + corner[2] + next[0] + next[1] + next[2] + last[0] + last[1] + last[2];
}

// All channels of a frame, each pixel of which goes `lead` times its motion (2, height, width) and is shared among the
// four around the place where it lands: a window of it into `out`, where less than one pixel lands with a little of what
// lands around and of `fill`. `sums` has a plane for each channel and one for the weights, each with a border around the window.
static void splat(
  const Advance *s, const float *frame, const float *motion, float lead, const float *fill, float *out, float *sums) {
  int64_t height = s->height, width = s->width, area = height * width, rows = s->rows + 2, columns = s->columns + 2;
  int64_t plane = rows * columns, window = s->rows * s->columns;
  float *weights = sums + s->channels * plane;
  for (int64_t at = 0; at < (s->channels + 1) * plane; at++) sums[at] = 0.0f;
  // Rows from which nothing can reach the window are left out, since a tile's window is a small part of its frame.
  float reach = lead * farthest(motion + area, area) + 2.0f;
  float from = (float)s->top - reach, to = (float)(s->top + s->rows) + reach;
  for (int64_t row = from > 0.0f ? (int64_t)from : 0; row < height && (float)row < to; row++) {
    for (int64_t column = 0; column < width; column++) {
      int64_t here = row * width + column;
      float x = (float)(column - s->left + 1) + lead * motion[here];
      float y = (float)(row - s->top + 1) + lead * motion[area + here];
      if (!(x > -1.0f && x < (float)columns && y > -1.0f && y < (float)rows)) continue;  // NaN lands nowhere
      int64_t left = (int64_t)floorf(x), top = (int64_t)floorf(y);
      float across = x - (float)left, down = y - (float)top;
      for (int64_t corner = 0; corner < 4; corner++) {
        int64_t to_x = left + (corner & 1), to_y = top + (corner >> 1);
        if (to_x < 0 || to_x >= columns || to_y < 0 || to_y >= rows) continue;
        float weight = ((corner & 1) ? across : 1.0f - across) * ((corner >> 1) ? down : 1.0f - down);
        int64_t place = to_y * columns + to_x;
        weights[place] += weight;
        for (int64_t channel = 0; channel < s->channels; channel++)
          sums[channel * plane + place] += weight * frame[channel * area + here];
      }
    }
  }
  float around = (float)s->around, filled = (float)s->filled;
  for (int64_t channel = 0; channel < s->channels; channel++)
    for (int64_t y = 0; y < s->rows; y++) {
      const float *line = sums + channel * plane + y * columns, *heavy = weights + y * columns;
      const float *beside = fill + channel * window + y * s->columns;
      float *shown = out + channel * window + y * s->columns;
      for (int64_t x = 0; x < s->columns; x++) {
        float weight = heavy[columns + x + 1], missing = weight < 1.0f ? 1.0f - weight : 0.0f;
        float value = line[columns + x + 1] + around * missing * nine(line + x, columns) + filled * missing * beside[x];
        shown[x] = value / (weight + around * missing * nine(heavy + x, columns) + filled * missing);
      }
    }
}

// Moves frames (clips, channels, height, width) on along motions (clips, motions, 2, height, width). Changes the
// displacements (clips, motions, 2, rows, columns) at which they are read, and writes what is seen, (clips, steps,
// motions, channels, rows, columns), and what is carried beside them, (clips, steps, beside, rows, columns). Where
// frames are splatted too, after `leads` (clips) steps that were made before, these stand behind what is read.
void motion_advance(
  const Advance *s, const float *frames, const float *motions, const float *fields, const float *leads, float *source,
  float *seen, float *carried, float *scratch) {
  int64_t area = s->height * s->width, window = s->rows * s->columns, shown = s->motions * (1 + s->splat);
#pragma omp parallel num_threads(s->threads)
  {
#pragma omp for
    for (int64_t line = 0; line < s->clips * s->motions * s->rows; line++) {
      int64_t y = line % s->rows, motion = line / s->rows % s->motions, clip = line / s->rows / s->motions;
      int64_t first = clip * s->motions + motion;
      float *u = source + first * 2 * window + y * s->columns, *v = u + window;
      for (int64_t step = 0; step < s->unseen; step++) trace(s, motions + first * 2 * area, y, u, v);
      for (int64_t step = 0; step < s->steps; step++) {
        trace(s, motions + first * 2 * area, y, u, v);
        float *out = seen + ((clip * s->steps + step) * shown + motion) * s->channels * window + y * s->columns;
        for (int64_t channel = 0; channel < s->channels; channel++)
          read_row(s, frames + (clip * s->channels + channel) * area, y, u, v, s->cubic, out + channel * window);
        if (motion > 0) continue;
        out = carried + (clip * s->steps + step) * s->beside * window + y * s->columns;
        for (int64_t field = 0; field < s->beside; field++)
          read_row(s, fields + (clip * s->beside + field) * area, y, u, v, 0, out + field * window);
      }
    }
    if (s->splat) {
#pragma omp for
      for (int64_t each = 0; each < s->clips * s->steps * s->motions; each++) {
        int64_t motion = each % s->motions, step = each / s->motions % s->steps, clip = each / s->motions / s->steps;
        const float *fill = seen + ((clip * s->steps + step) * shown + motion) * s->channels * window;
        splat(
          s, frames + clip * s->channels * area, motions + (clip * s->motions + motion) * 2 * area,
          leads[clip] + (float)(s->unseen + step + 1), fill, (float *)fill + s->motions * s->channels * window,
          scratch + omp_get_thread_num() * (s->channels + 1) * (s->rows + 2) * (s->columns + 2));
      }
    }
  }
}
