/*
 * matrix.c - floating point: matrix products (vector code after -O2's
 * vectoriser), and bodies pulling at each other (scalar, divide, square root).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 192, BODIES = 8 };

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void product(void)
{
	for (int i = 0; i < SIZE; i++) {
		for (int j = 0; j < SIZE; j++)
			c[i][j] = 0;
		for (int k = 0; k < SIZE; k++)
			for (int j = 0; j < SIZE; j++)
				c[i][j] += a[i][k] * b[k][j];
	}
}

struct body {
	double p[3], v[3];
};

static void step(struct body *body)
{
	for (int i = 0; i < BODIES; i++) {
		for (int j = 0; j < BODIES; j++) {
			double d[3], r = 1e-3;

			for (int k = 0; k < 3; k++) {
				d[k] = body[j].p[k] - body[i].p[k];
				r += d[k] * d[k];
			}
			for (int k = 0; k < 3; k++)
				body[i].v[k] += 1e-4 * d[k] / (r * sqrt(r));
		}
	}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			body[i].p[k] += 1e-4 * body[i].v[k];
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	struct body body[BODIES] = {0};
	double sum = 0;

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			a[i][j] = (double)(i ^ j) / SIZE;
			b[i][j] = (double)(i + j) / SIZE;
		}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			body[i].p[k] = (double)((i * 3 + k) * 7 % 11);
	while (n-- > 0) {
		a[n % SIZE][0] += 1;
		product();
		sum += c[n % SIZE][n * 5 % SIZE];
		for (int i = 0; i < 2000; i++)
			step(body);
		sum += body[n % BODIES].p[0];
	}
	printf("%.6f\n", sum);
	return 0;
}
