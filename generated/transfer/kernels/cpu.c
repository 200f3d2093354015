/* transfer: fused node laws in float32, for float32 and bfloat16 arrays. C99 without headers.
 *
 * Made by cgc; do not edit, compile again. Random numbers are a function of the seed and an element's place (Philox 4x32,
 * 7 rounds), so that the backward pass draws what the forward pass drew.
 */

/* Both halves, or one, so that they can be compiled at once. */
#if !defined FORWARD && !defined BACKWARD
#define FORWARD
#define BACKWARD
#endif

/* In loops that are to become vectors no call may be left. */
#define INLINE static inline __attribute__((always_inline))

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { LANES = 256 }; /* so many elements are worked on at a time */
enum { AHEAD = 8 };   /* steps of a recurrence */

#define PARALLEL(threads) _Pragma("omp parallel for schedule(static) num_threads(threads)")
#ifndef _OPENMP
#undef PARALLEL
#define PARALLEL(threads) (void)threads;
#endif

INLINE u32 bits_of(float x) {
    union { float f; u32 u; } both = {x};
    return both.u;
}

INLINE float float_of(u32 x) {
    union { u32 u; float f; } both = {x};
    return both.f;
}

INLINE float larger(float a, float b) { return b > a ? b : a; }

INLINE float smaller(float a, float b) { return b < a ? b : a; }

INLINE u32 high_half(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }

/* Elements from `start` on as floats: where they are, or widened into `room`. */
static inline const float *loaded(float *restrict room, const void *from, long start, long count, int half) {
    if (!half) return (const float *)from + start;
    const u16 *x = (const u16 *)from + start;
    for (long i = 0; i < count; i++) room[i] = float_of((u32)x[i] << 16);
    return room;
}

/* Where elements from `start` on are written: their place, or `room`, from which `stored` takes them. */
static inline float *place(float *room, void *to, long start, int half) { return half ? room : (float *)to + start; }

static inline void stored(void *to, const float *restrict from, long start, long count, int half) {
    if (!half) return;
    u16 *x = (u16 *)to + start;
    for (long i = 0; i < count; i++) { /* to the nearest, ties to even */
        const u32 u = bits_of(from[i]);
        x[i] = (u16)(from[i] == from[i] ? (u + 0x7fff + ((u >> 16) & 1)) >> 16 : (u >> 16) | 0x40);
    }
}

/* Elements that will be needed some steps later are asked for. */
static inline void ask(const void *from, long start, long count, int half) {
    const char *x = (const char *)from + start * (half ? 2 : 4);
    for (long i = 0; i < count * (half ? 2 : 4); i += 64) __builtin_prefetch(x + i);
}


#ifdef FORWARD
/* Random words for the counters (first + i, later), i < count: 7 rounds of Philox 4x32. */
#ifdef __AVX2__
/* Counters, a word of each in the lower half of a lane. */
#if defined __AVX512F__ && !defined __clang__
typedef u64 counters __attribute__((vector_size(64)));
typedef long long products __attribute__((vector_size(64)));
typedef int factors __attribute__((vector_size(64)));
#define EVENS {0, 2, 4, 6, 8, 10, 12, 14}
#define low_product(a, b) ((counters)__builtin_ia32_pmuludq512_mask((factors)(a), (factors)(b), (products){0}, 255))
#else
typedef u64 counters __attribute__((vector_size(32)));
#define EVENS {0, 2, 4, 6}
#ifdef __clang__
#define low_product(a, b) (((a) & 0xffffffffu) * (b))
#else
typedef int factors __attribute__((vector_size(32)));
#define low_product(a, b) ((counters)__builtin_ia32_pmuludq256((factors)(a), (factors)(b)))
#endif
#endif

static inline void philox_rounds(counters c[4], u32 k0, u32 k1) {
    const counters none = {0}, m0 = none + 0xd2511f53u, m1 = none + 0xcd9e8d57u;
#pragma GCC unroll 7
    for (int round = 0; round < 7; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        const counters p0 = low_product(c[0], m0), p1 = low_product(c[2], m1); /* what is in upper halves does not matter */
        c[0] = (p1 >> 32) ^ c[1] ^ (u64)k0;
        c[2] = (p0 >> 32) ^ c[3] ^ (u64)k1;
        c[1] = p1;
        c[3] = p0;
    }
}

static void philox(u32 words[4][LANES], u64 first, u32 later, u64 seed, long count) {
    const counters none = {0}, evens = EVENS;
    for (long i = 0; i < count; i += sizeof none / 4) {
        const counters even = evens + (first + (u64)i), odd = even + 1;
        counters a[4] = {even, even >> 32, none + later, none}, b[4] = {odd, odd >> 32, none + later, none};
        philox_rounds(a, (u32)seed, (u32)(seed >> 32));
        philox_rounds(b, (u32)seed, (u32)(seed >> 32));
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const counters both = (a[k] & 0xffffffffu) | (b[k] << 32);
            __builtin_memcpy(&words[k][i], &both, sizeof both);
        }
    }
}
#else
static void philox(u32 words[4][LANES], u64 first, u32 later, u64 seed, long count) {
    const u32 low = (u32)first, high = (u32)(first >> 32), k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (long i = 0; i < count; i++) {
        const u32 c0 = low + (u32)i, c1 = high + (c0 < low);
        const u32 w0 = (high_half(later, 0xcd9e8d57u) ^ c1) ^ k0;
        const u32 w1 = k1 + 0xbb67ae85u;
        const u32 w2 = (high_half(w0, 0xd2511f53u) ^ (c0 * 0xd2511f53u)) ^ w1;
        const u32 w3 = (high_half(c0, 0xd2511f53u) ^ 0u) ^ k1;
        const u32 w4 = k0 + 0x9e3779b9u;
        const u32 w5 = w4 + 0x9e3779b9u;
        const u32 w6 = (high_half(w2, 0xcd9e8d57u) ^ (w3 * 0xcd9e8d57u)) ^ w5;
        const u32 w7 = (high_half(w3, 0xcd9e8d57u) ^ (later * 0xcd9e8d57u)) ^ w4;
        const u32 w8 = w1 + 0xbb67ae85u;
        const u32 w9 = w8 + 0xbb67ae85u;
        const u32 w10 = (high_half(w6, 0xd2511f53u) ^ (w7 * 0xd2511f53u)) ^ w9;
        const u32 w11 = (high_half(w7, 0xd2511f53u) ^ (w0 * 0xd2511f53u)) ^ w8;
        const u32 w12 = w5 + 0x9e3779b9u;
        const u32 w13 = w12 + 0x9e3779b9u;
        const u32 w14 = (high_half(w10, 0xcd9e8d57u) ^ (w11 * 0xcd9e8d57u)) ^ w13;
        const u32 w15 = (high_half(w11, 0xcd9e8d57u) ^ (w2 * 0xcd9e8d57u)) ^ w12;
        const u32 w16 = w9 + 0xbb67ae85u;
        const u32 w17 = w16 + 0xbb67ae85u;
        const u32 w18 = (high_half(w14, 0xd2511f53u) ^ (w15 * 0xd2511f53u)) ^ w17;
        const u32 w19 = (high_half(w15, 0xd2511f53u) ^ (w6 * 0xd2511f53u)) ^ w16;
        const u32 w20 = w13 + 0x9e3779b9u;
        const u32 w21 = (high_half(w19, 0xcd9e8d57u) ^ (w10 * 0xcd9e8d57u)) ^ w20;
        words[0][i] = (high_half(w18, 0xcd9e8d57u) ^ (w19 * 0xcd9e8d57u)) ^ (w20 + 0x9e3779b9u);
        words[1][i] = w18 * 0xcd9e8d57u;
        words[2][i] = (high_half(w21, 0xd2511f53u) ^ (w14 * 0xd2511f53u)) ^ (w17 + 0xbb67ae85u);
        words[3][i] = w21 * 0xd2511f53u;
    }
}
#endif
#endif

/* tanh x: x P(x²) / Q(x²), and 1 from 8.3 on. */
INLINE float f32_tanh(float x) {
    const float f0 = smaller(larger(x, -8.3f), 8.3f);
    const float f1 = f0 * f0;
    const float f2 = ((2.1548955e-11f * f1 - 1.4011997e-08f) * f1 + 9.66442e-06f) * f1 + 0.0029633713f;
    const float f3 = ((0.00023404024f * f1 + 0.023936747f) * f1 + 0.46291894f) * f1 + 1.0f;
    const float f4 = larger(f0 * (((f2 * f1 + 0.12958588f) * f1 + 0.99999994f) / f3), -1.0f);
    return smaller(f4, 1.0f);
}

/* log x of a positive normal number, to six digits. */
INLINE float f32_log_of_normal(float x) {
    const u32 w0 = bits_of(x);
    const u32 w1 = (w0 - 0xffb504f3u) >> 23;
    const float f2 = float_of(w0 - ((w1 - 0x7fu) << 23)) - 1.0f;
    const float f3 = ((0.08531075f * f2 - 0.14268601f) * f2 + 0.14977854f) * f2 - 0.165781f;
    const float f4 = (((f3 * f2 + 0.19955903f) * f2 - 0.25001347f) * f2 + 0.33334193f) * f2;
    return (((float)(int)w1) - 127.0f) * 0.6931472f + f2 * ((f4 - 0.49999997f) * f2 + 1.0f);
}

/* z with Φ(-z) = q, 0 < q ≤ ½. */
INLINE float f32_normal_quantile(float q) {
    const float f0 = -f32_log_of_normal(4.0f * (q - q * q));
    const int t1 = f0 < 6.0f;
    const float f2 = ((-1.5502572e-08f * f0 + 4.0679976e-07f) * f0 - 3.471604e-06f) * f0;
    const float f3 = ((f2 + 2.0859494e-07f) * f0 + 0.00015956757f) * f0 - 0.0004199645f;
    const float f4 = (((f3 * f0 - 0.00654367f) * f0 + 0.032635722f) * f0 + 0.65623957f) * f0;
    const float f5 = f4 + 2.506628f;
    const float f6 = f0 - 14.0f;
    const float f7 = ((-1.32885595e-11f * f6 + 1.032533e-10f) * f6 + 1.4534697e-09f) * f6;
    const float f8 = ((f7 - 2.5928085e-08f) * f6 + 4.1748993e-07f) * f6 - 9.559786e-06f;
    const float f9 = ((f8 * f6 + 0.00023081605f) * f6 - 0.006703512f) * f6 + 0.3812305f;
    const float f10 = f9 * f6 + 10.123195f;
    return (0.5f - q) * (t1 ? f5 : f10);
}


#ifdef FORWARD
/* Where few elements are drawn, these are brought together, so that what they become is computed for them alone. */
#define FEW 0.6f

/* What would be copied into loops, and make many of them. */
#define OUTLINE static __attribute__((noinline))

/* What gcc is not to make branches of, which become masks that are worked out lane by lane. */
#ifdef __clang__
#define BRANCHLESS
#else
#define BRANCHLESS __attribute__((optimize("no-thread-jumps")))
#endif

INLINE int coin(float rate, u32 w0) {
    return (((float)(int)(w0 >> 8)) * 5.9604645e-08f) < rate;
}

/* Lanes of a block: which have their sign set, as bits; those told by bits brought together; and the way back, between other lanes. */
#if defined __AVX512F__ && defined __AVX512DQ__ && !defined __clang__
enum { BLOCK = 16 };
typedef int block __attribute__((vector_size(64)));

INLINE u32 bits_set(block x) { return (u16)__builtin_ia32_cvtd2mask512(x); }

INLINE block packed(block x, u32 mask) { return __builtin_ia32_compresssi512_mask(x, x, (u16)mask); }

INLINE block spread(block x, block others, u32 mask) { return __builtin_ia32_expandsi512_mask(x, others, (u16)mask); }

#elif defined __AVX2__ && defined __BMI2__ && !defined __clang__
enum { BLOCK = 8 };
typedef int block __attribute__((vector_size(32)));
typedef float float_block __attribute__((vector_size(32)));

INLINE u32 bits_set(block x) { return (u32)__builtin_ia32_movmskps256((float_block)x); }

/* A mask's bits, four times each. */
INLINE u32 fourfold(u32 mask) { return __builtin_ia32_pdep_si(mask, 0x11111111u) * 15; }

/* Lanes in another order: lane i is that of the i-th hexadecimal digit. */
INLINE block ordered(block x, u32 digits) {
    typedef u32 unsigned_block __attribute__((vector_size(32)));
    const unsigned_block shifts = {0, 4, 8, 12, 16, 20, 24, 28}, none = {0};
    return __builtin_ia32_permvarsi256(x, (block)((none + digits) >> shifts));
}

INLINE block packed(block x, u32 mask) { return ordered(x, __builtin_ia32_pext_si(0x76543210u, fourfold(mask))); }

INLINE block spread(block x, block others, u32 mask) {
    const block bits = {1, 2, 4, 8, 16, 32, 64, 128}, none = {0}, here = ((none + (int)mask) & bits) != none;
    return (here & ordered(x, __builtin_ia32_pdep_si(0x76543210u, fourfold(mask)))) | (~here & others);
}
#else
enum { BLOCK = 8 };
typedef struct {
    u32 lane[BLOCK];
} block;

INLINE u32 bits_set(block x) {
    u32 mask = 0;
    for (int k = 0; k < BLOCK; k++) mask |= (x.lane[k] >> 31) << k;
    return mask;
}

INLINE block packed(block x, u32 mask) {
    for (int k = 0, some = 0; k < BLOCK; k++) {
        x.lane[some] = x.lane[k];
        some += mask >> k & 1;
    }
    return x;
}

INLINE block spread(block x, block others, u32 mask) {
    for (int k = 0, some = 0; k < BLOCK; k++)
        if (mask >> k & 1) others.lane[k] = x.lane[some++];
    return others;
}
#endif

INLINE block block_at(const void *from) {
    block x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
}

INLINE void put(void *to, block x) { __builtin_memcpy(to, &x, sizeof x); }

INLINE void copied(float *restrict to, const float *restrict from, long count) {
    for (long i = 0; i < count; i++) to[i] = from[i];
}
#endif
/* What is normalised by the batch is (rows, features, inner): a feature's statistics are those of its elements in all rows. */
enum { LANE = 16, GROUPS = 16 }; /* floats that are added side by side, and so many sums at a time */

/* What torch.nn.functional.batch_norm takes unless it is told otherwise. */
#define EPSILON 1e-5
#define MOMENTUM 0.1f

typedef struct {
    long rows, features, inner;
} Shape;

/* So many features, which lie beside each other in a row, are worked on at a time: few enough for all threads to have some. */
static inline long at_once(Shape shape, int threads) {
    const long least = shape.inner == 1 ? LANE : 1, share = (shape.features + threads - 1) / threads;
    const long whole = (share + least - 1) / least * least;
    return whole < GROUPS * least ? whole : GROUPS * least;
}

/* Sums of x and of x y over all elements of each of the `width` features from `first` on, in doubles: products of floats are exact. */
static void sums(double *restrict single, double *restrict product, const float *x, const float *y, Shape shape, long first, long width) {
    /* a group is a lane of features, or a feature whose elements come in lanes */
    const long all = width * shape.inner, length = shape.inner == 1 ? LANE : shape.inner, groups = (all + length - 1) / length;
    double singles[GROUPS][LANE] = {{0}}, products[GROUPS][LANE] = {{0}};
    for (long row = 0; row < shape.rows; row++) {
        const float *restrict from = x + (row * shape.features + first) * shape.inner;
        const float *restrict beside = y + (row * shape.features + first) * shape.inner;
        for (long group = 0; group < groups; group++) {
            double *restrict s = singles[group], *restrict p = products[group];
            const long end = (group + 1) * length < all ? (group + 1) * length : all;
            long i = group * length;
            for (; i + LANE <= end; i += LANE)
                for (int k = 0; k < LANE; k++) {
                    s[k] += from[i + k];
                    p[k] += (double)from[i + k] * beside[i + k];
                }
            for (int k = 0; i + k < end; k++) {
                s[k] += from[i + k];
                p[k] += (double)from[i + k] * beside[i + k];
            }
        }
    }
    for (long k = 0; k < width; k++) single[k] = product[k] = 0;
    for (long i = 0; i < groups * LANE; i++) {
        const long k = shape.inner == 1 ? i : i / LANE;
        if (k < width) {
            single[k] += singles[i / LANE][i % LANE];
            product[k] += products[i / LANE][i % LANE];
        }
    }
}

#ifdef FORWARD
/* Energies are scale x + shift, each feature's. */
typedef struct {
    const float *scale, *shift;
    Shape shape;
} Line;

/* Energies from `start` on of what is there not yet normalised. */
static const float *normalised(float *restrict room, const float *x, long start, long count, const Line *line) {
    const Shape shape = line->shape;
    const long place = start % (shape.features * shape.inner);
    long feature = place / shape.inner, passed = place % shape.inner, i = 0;
    while (i < count) {
        const long rest = shape.inner == 1 ? shape.features - feature : shape.inner - passed, many = rest < count - i ? rest : count - i;
        const float *restrict from = x + start + i, *restrict scale = line->scale + feature, *restrict shift = line->shift + feature;
        float *restrict to = room + i;
        if (shape.inner == 1)
            for (long k = 0; k < many; k++) to[k] = from[k] * scale[k] + shift[k];
        else
            for (long k = 0; k < many; k++) to[k] = from[k] * *scale + *shift;
        i += many;
        passed = 0;
        feature = shape.inner == 1 || feature + 1 == shape.features ? 0 : feature + 1;
    }
    return room;
}

/* Of each feature, (4, features): mean, 1 / standard deviation, and the scale and shift of its line. They are of this batch, towards which
 * what is remembered moves; or else of what is remembered. */
static void normalise(const float *x, float *found, const float *weight, const float *bias, float *mean, float *variance, Shape shape,
                      int remembered, int threads) {
    const long features = shape.features;
    const double count = (double)shape.rows * (double)shape.inner;
    const long several = at_once(shape, threads);
    PARALLEL(threads)
    for (long first = 0; first < features; first += several) {
        const long width = features - first < several ? features - first : several;
        double single[LANE * GROUPS], product[LANE * GROUPS];
        if (!remembered) sums(single, product, x, x, shape, first, width);
        for (long k = 0; k < width; k++) {
            const long i = first + k;
            double middle = mean[i], spread = variance[i];
            if (!remembered) {
                middle = single[k] / count;
                spread = product[k] / count - middle * middle;
                spread = spread < 0 ? 0 : spread;
                mean[i] += MOMENTUM * ((float)middle - mean[i]);
                variance[i] += MOMENTUM * ((float)(spread * count / (count - 1)) - variance[i]);
            }
            const double inverse = 1 / __builtin_sqrt(spread + EPSILON);
            found[i] = (float)middle;
            found[features + i] = (float)inverse;
            found[2 * features + i] = (float)(inverse * weight[i]);
            found[3 * features + i] = (float)((bias ? bias[i] : 0) - middle * inverse * weight[i]);
        }
    }
}
#endif
#ifdef BACKWARD
/* From gradients of energies, in gx, to those of what was normalised, and of weights and biases. */
static void normalised_backward(float *gx, const float *x, const float *found, float *gweight, float *gbias, Shape shape, int threads) {
    const long rows = shape.rows, features = shape.features, inner = shape.inner;
    const double count = (double)rows * (double)inner;
    const float *mean = found, *inverse = found + features, *scale = found + 2 * features;
    const long several = at_once(shape, threads);
    PARALLEL(threads)
    for (long first = 0; first < features; first += several) {
        const long width = features - first < several ? features - first : several;
        double single[LANE * GROUPS], product[LANE * GROUPS];
        float middle[LANE * GROUPS], along[LANE * GROUPS];
        sums(single, product, gx, x, shape, first, width);
        for (long k = 0; k < width; k++) {
            const long i = first + k;
            const double sum = inverse[i] * (product[k] - mean[i] * single[k]);
            gbias[i] = (float)single[k];
            gweight[i] = (float)sum;
            middle[k] = (float)(single[k] / count);
            along[k] = (float)(inverse[i] * sum / count);
        }
        for (long row = 0; row < rows; row++) {
            const long start = (row * features + first) * inner;
            float *restrict to = gx + start;
            const float *restrict from = x + start, *restrict means = mean + first, *restrict scales = scale + first;
            if (inner == 1)
                for (long k = 0; k < width; k++) to[k] = scales[k] * (to[k] - middle[k] - along[k] * (from[k] - means[k]));
            else
                for (long k = 0; k < width; k++) {
                    const float a = middle[k], b = along[k], c = means[k], d = scales[k];
                    for (long i = k * inner; i < (k + 1) * inner; i++) to[i] = d * (to[i] - a - b * (from[i] - c));
                }
        }
    }
}
#endif



/* X = max(0, Y), Y = e + n*s, n ~ N(0, 1), s = |tanh(e)| */

INLINE float Rect_expectation(float e) {
    return larger(e, 0.0f);
}

INLINE float Rect_slope_of_value(float h) {
    const int t0 = 0.0f < h;
    return t0 ? 1.0f : 0.0f;
}

INLINE float Rect_drawn(float e, float rate, u32 w0) {
    const float f0 = smaller((((float)(int)(w0 >> 1)) + 0.5f) * (2.3283064e-10f / rate), 0.5f);
    const float f1 = float_of(bits_of(f32_normal_quantile(f0)) ^ ((w0 << 31) & 0x80000000u));
    return larger(e + f32_tanh(e) * f1, 0.0f);
}

INLINE float Rect_through(float e, float rate, u32 w0) {
    const float f0 = f32_tanh(e);
    const float f1 = smaller((((float)(int)(w0 >> 1)) + 0.5f) * (2.3283064e-10f / rate), 0.5f);
    const float f2 = float_of(bits_of(f32_normal_quantile(f1)) ^ ((w0 << 31) & 0x80000000u));
    const int t3 = (e + f0 * f2) < 0.0f;
    const float f4 = 1.0f + f2 * (4.0f * ((1.0f - f0) * (1.0f + f0) * 0.25f));
    return t3 ? 0.0f : f4;
}

#ifdef FORWARD
/* What a block of nodes becomes that are drawn, and the slopes of that where there is room for them; an element's words lie so far apart. A
 * function of its own for a loop of few rounds, often one: no constants wait in registers for the next. */
OUTLINE BRANCHLESS void Rect_block(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict word, long apart,
                                         float rate) {
    (void)apart;
    if (slope)
        for (int i = 0; i < BLOCK; i++) {
            to[i] = Rect_drawn(e[i], rate, word[i]);
            slope[i] = Rect_through(e[i], rate, word[i]);
        }
    else
        for (int i = 0; i < BLOCK; i++) to[i] = Rect_drawn(e[i], rate, word[i]);
}

/* What nodes become that may be drawn, likewise, a block at a time: those that are drawn are brought together, as they are few. */
OUTLINE void Rect_few(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict words, long count, float rate) {
    u32 masks[LANES / BLOCK], word[1][LANES + BLOCK];
    float energy[LANES + BLOCK], value[LANES + BLOCK], sloped[LANES + BLOCK];
    const block none = {0};
    long some = 0;
    for (long i = 0; i < count; i += BLOCK) {
        u32 drawn[BLOCK];
        for (int k = 0; k < BLOCK; k++) drawn[k] = (u32)-coin(rate, words[i + k]);
        const u32 mask = bits_set(block_at(drawn)) & (count - i < BLOCK ? (1u << (count - i)) - 1 : (u32)(1ull << BLOCK) - 1);
        masks[i / BLOCK] = mask;
        put(energy + some, packed(block_at(e + i), mask));
        for (int k = 0; k < 1; k++) put(word[k] + some, packed(block_at(words + k * LANES + i), mask));
        some += __builtin_popcount(mask);
    }
    put(energy + some, none);
    for (int k = 0; k < 1; k++) put(word[k] + some, none);
    for (long i = 0; i < some; i += BLOCK) Rect_block(value + i, slope ? sloped + i : 0, energy + i, word[0] + i, LANES + BLOCK, rate);
    some = 0;
    for (long i = 0; i < count; i += BLOCK) {
        const u32 mask = masks[i / BLOCK];
        float other[BLOCK], other_slope[BLOCK];
        for (int k = 0; k < BLOCK; k++) other[k] = Rect_expectation(e[i + k]);
        put(to + i, spread(block_at(value + some), block_at(other), mask));
        if (slope) {
            for (int k = 0; k < BLOCK; k++) other_slope[k] = Rect_slope_of_value(other[k]);
            put(slope + i, spread(block_at(sloped + some), block_at(other_slope), mask));
        }
        some += __builtin_popcount(mask);
    }
}

/* The same, however many are drawn. */
OUTLINE void Rect_many(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict words, long count, float rate) {
    for (long i = 0; i < count; i += BLOCK) {
        float value[BLOCK], sloped[BLOCK];
        Rect_block(value, slope ? sloped : 0, e + i, words + i, LANES, rate);
        for (int k = 0; k < BLOCK; k++) {
            const float other = Rect_expectation(e[i + k]);
            to[i + k] = coin(rate, words[i + k]) ? value[k] : other;
        }
        if (slope)
            for (int k = 0; k < BLOCK; k++) {
                const float other = Rect_slope_of_value(to[i + k]);
                slope[i + k] = coin(rate, words[i + k]) ? sloped[k] : other;
            }
    }
}

/* The same of so many as there are: what are no whole blocks is worked on elsewhere. */
OUTLINE void Rect_infer(float *restrict to, float *restrict slope, const float *restrict e, u32 (*restrict words)[LANES], int part,
                                   long count, float rate) {
    const u32 *given = words[part];
    (void)part;
    if (count % BLOCK) {
        float energy[LANES] = {0}, value[LANES], sloped[LANES];
        copied(energy, e, count);
        (rate < FEW ? Rect_few : Rect_many)(value, slope ? sloped : 0, energy, given, count, rate);
        copied(to, value, count);
        if (slope) copied(slope, sloped, count);
    } else
        (rate < FEW ? Rect_few : Rect_many)(to, slope, e, given, count, rate);
}

#endif
#ifdef FORWARD
/* Slopes are kept where there is room for them; with a line, energies are what it makes of e. */
static void Rect_values(const void *e, const Line *line, void *h, float *slopes, long n, int half, float rate, u64 seed, int threads) {
    (void)seed, (void)rate, (void)slopes;
    PARALLEL(threads)
    for (long tile = 0; tile < (n + 4 * LANES - 1) / (4 * LANES); tile++) {
        float room[LANES], result[LANES];
        u32 words[4][LANES];
        if (rate > 0) philox(words, (u64)tile * LANES, 0, seed, n < LANES ? n : LANES);
        for (int part = 0; part < 4; part++) {
            const long start = (tile * 4 + part) * LANES;
            const long count = n - start < LANES ? n - start : LANES;
            if (count <= 0) break;
            const float *restrict x = line ? normalised(room, e, start, count, line) : loaded(room, e, start, count, half);
            float *restrict to = place(result, h, start, half), *restrict slope = slopes ? slopes + start : 0;
            if (rate > 0) {
                Rect_infer(to, slope, x, words, part, count, rate);
                stored(h, to, start, count, half);
                continue;
            }
                for (long i = 0; i < count; i++) to[i] = Rect_expectation(x[i]);
            if (slope)
                for (long i = 0; i < count; i++) slope[i] = Rect_slope_of_value(to[i]);
            stored(h, to, start, count, half);
        }
    }
}

void Rect_forward(const void *e, void *h, float *slopes, long n, int half, float rate, u64 seed, int threads) {
    Rect_values(e, 0, h, slopes, n, half, rate, seed, threads);
}

void Rect_normalised(const float *x, float *found, const float *weight, const float *bias, float *mean, float *variance, float *h,
                               float *slopes, long rows, long features, long inner, float rate, u64 seed, int remembered, int threads) {
    const Line line = {found + 2 * features, found + 3 * features, {rows, features, inner}};
    normalise(x, found, weight, bias, mean, variance, line.shape, remembered, threads);
    Rect_values(x, &line, h, slopes, rows * features * inner, 0, rate, seed, threads);
}

#endif
#ifdef BACKWARD
/* how: 0 from the value h, 1 from the energy, whichever is `saved`. */
void Rect_backward(const void *g, const void *saved, void *ge, long n, int half, int how, int threads) {
    (void)how;
    PARALLEL(threads)
    for (long tile = 0; tile < (n + 4 * LANES - 1) / (4 * LANES); tile++) {
        float room[2][LANES], result[LANES];
        for (int part = 0; part < 4; part++) {
            const long start = (tile * 4 + part) * LANES;
            const long count = n - start < LANES ? n - start : LANES;
            if (count <= 0) break;
            const float *restrict x = loaded(room[0], saved, start, count, half);
            const float *restrict d = loaded(room[1], g, start, count, half);
            float *restrict to = place(result, ge, start, half);
            if (how == 0)
                for (long i = 0; i < count; i++) to[i] = d[i] * Rect_slope_of_value(x[i]);
            stored(ge, to, start, count, half);
        }
    }
}

/* `saved` are slopes, or values from which these follow. */
void Rect_normalised_backward(const float *g, const float *x, const float *found, const float *saved, float *gx, float *gweight, float *gbias,
                                        long rows, long features, long inner, int kept, int threads) {
    const Shape shape = {rows, features, inner};
    const long n = rows * features * inner;
    if (kept) {
        PARALLEL(threads)
        for (long i = 0; i < n; i++) gx[i] = g[i] * saved[i];
    } else
        Rect_backward(g, saved, gx, n, 0, 0, threads);
    normalised_backward(gx, x, found, gweight, gbias, shape, threads);
}
#endif

#ifdef FORWARD
/* Whether all of an array lies between two numbers, or is one of them where they are states. */
int all_within(const float *x, long n, double low, double high, int states) {
    int all = 1;
    if (states)
        for (long i = 0; i < n; i++) all &= (x[i] == low) | (x[i] == high);
    else
        for (long i = 0; i < n; i++) all &= (x[i] >= low) & (x[i] <= high);
    return all;
}
#endif
